-- Schema 3: people who ask to be let in, and those who were let in beside the lists of the settings.
CREATE TABLE pairings (
    user_id    INTEGER PRIMARY KEY,
    code       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    codes      INTEGER NOT NULL,
    ahead      INTEGER NOT NULL,
    answer     TEXT CHECK (answer IN ('accepted', 'rejected')),
    notices    TEXT NOT NULL CHECK (json_valid(notices)),
    kept_until INTEGER NOT NULL
) STRICT;

CREATE TABLE paired (
    user_id     INTEGER PRIMARY KEY,
    role        TEXT NOT NULL CHECK (role = 'user'),
    accepted_at INTEGER NOT NULL,
    accepted_by TEXT NOT NULL
) STRICT;
