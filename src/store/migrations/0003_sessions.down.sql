-- Back to the views of step 2, and to a log from which nothing goes. What was deleted stays deleted.
DROP TRIGGER log_no_delete;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: no event is ever deleted');
END;

DROP TABLE message_words;
DROP TABLE blob_uses;
DROP TABLE turn_events;
DROP TABLE client_messages;
DROP TABLE model_calls;
DROP TABLE chat_actions;
DROP TABLE chat_messages;
DROP TABLE turns;
DROP TABLE checkpoints;
DROP TABLE session_contexts;
DROP TABLE chat_sessions;
DROP TABLE folded;

-- Views: folds over the log (store/views.rs). Nothing in them is a source; all can be rebuilt.
-- `position` is always that of the event in the log which made the row.
CREATE TABLE chat_sessions (
    id         TEXT PRIMARY KEY,
    position   INTEGER NOT NULL UNIQUE,
    user       TEXT NOT NULL,
    title      TEXT NOT NULL,
    context    TEXT NOT NULL,
    status     TEXT NOT NULL,
    buffer     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_sessions_buffer ON chat_sessions (buffer, status, position);

-- A resumed turn has the message of the turn it goes on with, and `place` is that message's position.
CREATE TABLE turns (
    id         TEXT PRIMARY KEY,
    position   INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    session    TEXT NOT NULL REFERENCES chat_sessions (id),
    message    TEXT NOT NULL,
    level      INTEGER NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT,
    resumes    TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX turns_unfinished ON turns (position) WHERE state IN ('queued', 'started');

-- `place` is that of the turn. `listed` is 0 as long as an action is only proposed.
CREATE TABLE chat_messages (
    id         TEXT PRIMARY KEY,
    position   INTEGER NOT NULL,
    session    TEXT NOT NULL REFERENCES chat_sessions (id),
    turn       TEXT NOT NULL,
    place      INTEGER NOT NULL,
    role       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    actuation  TEXT,
    content    TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    listed     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_messages_session ON chat_messages (session, position) WHERE listed = 1;
CREATE INDEX chat_messages_history ON chat_messages (session, place, position)
    WHERE listed = 1 AND kind IN ('user', 'action', 'command-result');

CREATE TABLE chat_actions (
    id          TEXT PRIMARY KEY,
    position    INTEGER NOT NULL,
    session     TEXT NOT NULL REFERENCES chat_sessions (id),
    turn        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    message_id  TEXT NOT NULL,
    module      TEXT NOT NULL,
    action      TEXT NOT NULL,
    input       TEXT NOT NULL,
    output      TEXT,
    status      TEXT NOT NULL,
    decision    TEXT,
    rule        TEXT,
    decided_by  TEXT,
    created_at  INTEGER NOT NULL,
    executed_at INTEGER
) STRICT;
CREATE INDEX chat_actions_session ON chat_actions (session, position);
CREATE INDEX chat_actions_open ON chat_actions (session, position) WHERE status IN ('allowed', 'asked');

-- One row per call of a model: what messages say about model, tokens and latency.
CREATE TABLE model_calls (
    turn              TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    model             TEXT NOT NULL,
    verdict           TEXT,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    first_ms          INTEGER,
    total_ms          INTEGER,
    PRIMARY KEY (turn, attempt)
) STRICT, WITHOUT ROWID;

-- Sending is idempotent by (author, client id).
CREATE TABLE client_messages (
    author    TEXT NOT NULL,
    client_id TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    session   TEXT NOT NULL,
    event     TEXT NOT NULL,
    turn      TEXT NOT NULL,
    lamport   INTEGER NOT NULL,
    PRIMARY KEY (author, client_id)
) STRICT, WITHOUT ROWID;

-- Which events belong to a turn.
CREATE TABLE turn_events (
    turn     TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (turn, position)
) STRICT, WITHOUT ROWID;
