-- The way back from schema 1: nothing is left.
DROP TABLE settings;
DROP TABLE rate_limits;
DROP TABLE outbox;
DROP TABLE turn_parts;
DROP TABLE turns;
DROP TABLE runs;
DROP TABLE sessions;
DROP TABLE conversations;
DROP TABLE people;
DROP TABLE poll_offsets;
DROP TABLE inbox;
PRAGMA application_id = 0;
