-- Schema 2: questions of the agent, and the audit.
CREATE TABLE questions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    turn        INTEGER NOT NULL REFERENCES turns (id),
    run         TEXT NOT NULL REFERENCES runs (id),
    request_id  TEXT NOT NULL,
    question    TEXT NOT NULL CHECK (json_valid(question)),
    asked_at    INTEGER NOT NULL,
    answer      TEXT,
    answered_at INTEGER,
    CHECK ((answer IS NULL) = (answered_at IS NULL))
) STRICT;
CREATE INDEX questions_by_turn ON questions (turn);
CREATE INDEX questions_by_request ON questions (run, request_id);
CREATE UNIQUE INDEX questions_open_by_request ON questions (run, request_id) WHERE answer IS NULL;

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    result TEXT NOT NULL
) STRICT;
