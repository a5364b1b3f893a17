-- The way back from schema 6: the indices as they were.
DROP INDEX sessions_past;
DROP INDEX runs_past;
DROP INDEX turns_past;
DROP INDEX outbox_changes;
DROP INDEX turns_open;
CREATE INDEX turns_open ON turns (conversation, id) WHERE ended_at IS NULL;
