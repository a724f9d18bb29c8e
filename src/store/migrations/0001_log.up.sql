-- The log: every event with its final envelope, in the order in which it was written.
CREATE TABLE log (
    position  INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    session   TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    prev      TEXT NOT NULL,
    lamport   INTEGER NOT NULL,
    author    TEXT NOT NULL,
    type      TEXT NOT NULL,
    version   INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    body      TEXT NOT NULL,
    signature TEXT NOT NULL,
    UNIQUE (session, seq)
) STRICT;
CREATE INDEX log_lamport ON log (lamport);

-- The database itself keeps the log append-only. The third trigger is for INSERT OR REPLACE, which
-- deletes without a delete trigger.
CREATE TRIGGER log_no_update BEFORE UPDATE ON log
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: no event is ever changed');
END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: no event is ever deleted');
END;
CREATE TRIGGER log_no_replace BEFORE INSERT ON log
WHEN EXISTS (SELECT 1 FROM log WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM log WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM log WHERE session = NEW.session AND seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: this event or its place in the session is already taken');
END;

-- Texts of prompts by their SHA-256: events name them, so that a repeated prompt is stored once.
CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
