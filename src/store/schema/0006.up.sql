-- Schema 6: what is next, and what may go, is found at once, however much there is.
DROP INDEX turns_open;
CREATE INDEX turns_open ON turns (conversation, state, place, id) WHERE ended_at IS NULL;
-- Of what is not out yet: changes of messages that are there, beside outbox_unsent.
CREATE INDEX outbox_changes ON outbox (chat_id, urgency, id) WHERE done_at IS NULL AND (kind = 'gone' OR message_id IS NOT NULL);
-- What is long over, to be deleted.
CREATE INDEX turns_past ON turns (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_past ON runs (ended_at) WHERE ended_at IS NOT NULL AND cleared = 1;
CREATE INDEX sessions_past ON sessions (last_used) WHERE current = 0;
