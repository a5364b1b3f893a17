-- The way back from schema 3: who was let in beside the lists is not any more.
DROP TABLE paired;
DROP TABLE pairings;
