-- Schema 1: messages, conversations, turns, runs and what goes out.
-- Times are milliseconds since the Unix epoch. Ids that people, agents or messengers may still hold are never
-- given twice (AUTOINCREMENT). "Is it over?" is one nullable time per table, so that a partial index can answer it.
PRAGMA application_id = 1952803960;

CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    bot_id      INTEGER NOT NULL,
    update_id   INTEGER NOT NULL,
    raw         TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    verdict     TEXT CHECK (verdict IN ('prompt', 'command', 'refused', 'ignored', 'unreadable')),
    done_at     INTEGER,
    CHECK ((verdict IS NULL) = (done_at IS NULL))
) STRICT;
-- Not unique: Telegram's ids may fall back and repeat with other content.
CREATE INDEX inbox_by_update ON inbox (bot_id, update_id);
CREATE INDEX inbox_waiting ON inbox (id, received_at) WHERE done_at IS NULL;
CREATE INDEX inbox_done ON inbox (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE poll_offsets (
    bot_id      INTEGER PRIMARY KEY,
    next_offset INTEGER NOT NULL
) STRICT;

CREATE TABLE people (
    user_id    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT;

CREATE TABLE conversations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    bot_id     INTEGER NOT NULL,
    chat_id    INTEGER NOT NULL,
    thread_id  INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversations_by_key ON conversations (chat_id, thread_id, user_id, bot_id);

CREATE TABLE sessions (
    session_id   TEXT PRIMARY KEY NOT NULL CHECK (length(session_id) = 36),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    created_at   INTEGER NOT NULL,
    last_used    INTEGER NOT NULL,
    metadata     TEXT NOT NULL CHECK (json_valid(metadata)),
    current      INTEGER NOT NULL CHECK (current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX sessions_current ON sessions (conversation) WHERE current = 1;

CREATE TABLE runs (
    id            TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    conversation  INTEGER NOT NULL REFERENCES conversations (id),
    session_id    TEXT NOT NULL CHECK (length(session_id) = 36),
    who           INTEGER NOT NULL,
    command       TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('starting', 'running', 'completed', 'killed', 'failed', 'lost')),
    output_offset INTEGER NOT NULL CHECK (output_offset >= 0),
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    exit          TEXT,
    cleared       INTEGER NOT NULL DEFAULT 0 CHECK (cleared IN (0, 1)),
    CHECK ((status IN ('starting', 'running')) = (ended_at IS NULL))
) STRICT;
-- One live process per session: two would write to the same history.
CREATE UNIQUE INDEX runs_live ON runs (session_id) WHERE ended_at IS NULL;
CREATE INDEX runs_to_clear ON runs (ended_at) WHERE ended_at IS NOT NULL AND cleared = 0;

CREATE TABLE turns (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    uuid         TEXT CHECK (length(uuid) = 36),
    state        TEXT NOT NULL CHECK (state IN ('collecting', 'held', 'queued', 'submitted', 'asked',
                                                'completed', 'failed', 'interrupted', 'discarded')),
    run          TEXT REFERENCES runs (id),
    machine      TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    created_at   INTEGER NOT NULL,
    submitted_at INTEGER,
    ended_at     INTEGER,
    cost_usd     REAL,
    duration_ms  INTEGER,
    CHECK ((state IN ('completed', 'failed', 'interrupted', 'discarded')) = (ended_at IS NOT NULL))
) STRICT;
-- An agent drops a prompt whose uuid it has seen: two turns must never share one.
CREATE UNIQUE INDEX turns_by_uuid ON turns (uuid) WHERE uuid IS NOT NULL;
CREATE INDEX turns_open ON turns (conversation, id) WHERE ended_at IS NULL;
CREATE INDEX turns_open_by_state ON turns (state) WHERE ended_at IS NULL;
CREATE INDEX turns_over ON turns (conversation, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX turns_by_run ON turns (run) WHERE run IS NOT NULL;

CREATE TABLE turn_parts (
    turn        INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    inbox       INTEGER NOT NULL,
    message_id  INTEGER NOT NULL,
    text        TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (turn, position)
) STRICT;
CREATE INDEX turn_parts_by_inbox ON turn_parts (inbox);

CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL CHECK (kind IN ('show', 'gone', 'press')),
    chat_id       INTEGER,
    thread_id     INTEGER NOT NULL DEFAULT 0,
    callback_id   TEXT,
    turn          INTEGER REFERENCES turns (id),
    number        INTEGER,
    urgency       INTEGER NOT NULL CHECK (urgency IN (0, 1, 2)),
    body          TEXT,
    revision      INTEGER NOT NULL CHECK (revision >= 1),
    sent_revision INTEGER NOT NULL CHECK (sent_revision BETWEEN 0 AND revision),
    wire_revision INTEGER NOT NULL CHECK (wire_revision BETWEEN 0 AND revision),
    wire_gone     INTEGER NOT NULL CHECK (wire_gone IN (0, 1)),
    message_id    INTEGER,
    state         TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'done', 'rejected')),
    ambiguous     INTEGER NOT NULL CHECK (ambiguous >= 0),
    plain         INTEGER NOT NULL CHECK (plain IN (0, 1)),
    attempts      INTEGER NOT NULL CHECK (attempts >= 0),
    not_before    INTEGER NOT NULL,
    last_error    TEXT,
    created_at    INTEGER NOT NULL,
    waiting_since INTEGER NOT NULL,
    done_at       INTEGER,
    CHECK ((kind = 'press') = (chat_id IS NULL)),
    CHECK ((kind = 'press') = (callback_id IS NOT NULL)),
    CHECK ((kind = 'gone') = (body IS NULL)),
    CHECK ((turn IS NULL) = (number IS NULL)),
    CHECK ((state IN ('done', 'rejected')) = (done_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX outbox_by_slot ON outbox (turn, number) WHERE turn IS NOT NULL;
CREATE INDEX outbox_by_message ON outbox (chat_id, message_id);
CREATE INDEX outbox_open ON outbox (chat_id, urgency, id, waiting_since) WHERE done_at IS NULL;
CREATE INDEX outbox_unsent ON outbox (chat_id, id) WHERE done_at IS NULL AND kind = 'show' AND message_id IS NULL;
CREATE INDEX outbox_sending ON outbox (chat_id) WHERE state = 'sending';
CREATE INDEX outbox_over ON outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX outbox_ambiguous ON outbox (ambiguous) WHERE ambiguous > 0;
CREATE INDEX outbox_rejected ON outbox (id) WHERE state = 'rejected';

CREATE TABLE rate_limits (
    scope  TEXT PRIMARY KEY NOT NULL,
    until  INTEGER NOT NULL,
    set_at INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    key        TEXT PRIMARY KEY NOT NULL,
    value      TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
