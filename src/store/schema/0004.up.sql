-- Schema 4: files that people sent.
CREATE TABLE attachments (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    turn         INTEGER NOT NULL REFERENCES turns (id),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    inbox        INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    file_id      TEXT NOT NULL,
    name         TEXT NOT NULL,
    mime         TEXT,
    size         INTEGER CHECK (size >= 0),
    state        TEXT NOT NULL CHECK (state IN ('wanted', 'here', 'refused', 'gone')),
    trouble      TEXT,
    transcript   TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    not_before   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    done_at      INTEGER,
    CHECK ((state = 'wanted') = (done_at IS NULL))
) STRICT;
CREATE INDEX attachments_by_turn ON attachments (turn, id);
CREATE INDEX attachments_wanted ON attachments (not_before, id) WHERE state = 'wanted';
CREATE INDEX attachments_here ON attachments (conversation, id, size) WHERE state = 'here';
CREATE INDEX attachments_old ON attachments (done_at) WHERE state = 'here';
