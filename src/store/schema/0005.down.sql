-- The way back from schema 5: marks are gone, queues are in the order in which they came, half an answer is none.
ALTER TABLE questions DROP COLUMN progress;
ALTER TABLE turns DROP COLUMN place;
ALTER TABLE turn_parts DROP COLUMN mark;
