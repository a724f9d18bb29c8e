-- What people do with sessions. The views are made anew from the log after every step, so they can be dropped here.

-- An event may go only when its session ends with the event that says it was deleted.
DROP TRIGGER log_no_delete;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
WHEN NOT EXISTS (SELECT 1 FROM (SELECT seq, type FROM log WHERE session = OLD.session ORDER BY seq DESC LIMIT 1)
                 WHERE type = 'chat.session.deleted' AND seq > OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: no event is ever deleted');
END;

DROP TABLE turn_events;
DROP TABLE client_messages;
DROP TABLE model_calls;
DROP TABLE chat_actions;
DROP TABLE chat_messages;
DROP TABLE turns;
DROP TABLE chat_sessions;

-- How far the log is folded into the views.
CREATE TABLE folded (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO folded VALUES (1, 0);

-- Whether words of a deleted session may still be in the index of words, or in the write-ahead log: a server that was
-- killed leaves that to the next one.
CREATE TABLE erasure (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    pending INTEGER NOT NULL
) STRICT;
INSERT INTO erasure VALUES (1, 0);

-- `status` follows from `paused`, `completed`, `ended` (how the last turn ended) and the turns. `line` is which
-- positions of the log still count after the session was taken back: pairs of first and last, as JSON. `read` is the
-- position of the last message that the user has seen.
CREATE TABLE chat_sessions (
    id          TEXT PRIMARY KEY,
    position    INTEGER NOT NULL UNIQUE,
    user        TEXT NOT NULL,
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,
    buffer      TEXT NOT NULL,
    archived    INTEGER NOT NULL,
    paused      INTEGER NOT NULL,
    completed   INTEGER NOT NULL,
    ended       TEXT NOT NULL,
    label_group TEXT,
    tags        TEXT NOT NULL,
    forked_from TEXT,
    imported    TEXT,
    line        TEXT NOT NULL,
    messages    INTEGER NOT NULL,
    unread      INTEGER NOT NULL,
    read        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_sessions_buffer ON chat_sessions (buffer, archived, completed, position);
CREATE INDEX chat_sessions_status ON chat_sessions (archived, status, position);
CREATE INDEX chat_sessions_group ON chat_sessions (label_group, position) WHERE label_group IS NOT NULL;

-- What a session remembers, as JSON. Apart, because it is long, and a session's own row changes with every event.
CREATE TABLE session_contexts (
    session TEXT PRIMARY KEY REFERENCES chat_sessions (id),
    context TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    session    TEXT NOT NULL REFERENCES chat_sessions (id),
    name       TEXT NOT NULL,
    event      TEXT NOT NULL,
    position   INTEGER NOT NULL,
    line       TEXT NOT NULL,
    context    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

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
    skill      TEXT,
    undone     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX turns_unfinished ON turns (position) WHERE state IN ('queued', 'started');
CREATE INDEX turns_session ON turns (session, state);

-- Its position is what a message is found by: an index on identifiers, which come in no order, would cost more than all
-- the others. `place` is that of the turn. `listed` is 0 as long as an action is only proposed; `undone` is 1 for what the
-- session was taken back from. `mark` is what stands for the message in buffers.
CREATE TABLE chat_messages (
    position   INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    session    TEXT NOT NULL REFERENCES chat_sessions (id),
    turn       TEXT NOT NULL,
    place      INTEGER NOT NULL,
    role       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    actuation  TEXT,
    mark       TEXT NOT NULL,
    content    TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    listed     INTEGER NOT NULL,
    indexed    INTEGER NOT NULL,
    undone     INTEGER NOT NULL,
    skill      TEXT,
    delivered_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_messages_session ON chat_messages (session, position);
CREATE INDEX chat_messages_history ON chat_messages (session, place, position)
    WHERE listed = 1 AND undone = 0 AND kind IN ('user', 'action', 'command-result');

-- The words of listed messages; `indexed` says of which they are in. `facets` holds what a search may be narrowed to, as words of their own.
CREATE VIRTUAL TABLE message_words USING fts5 (
    content, facets, content = '', tokenize = "unicode61 remove_diacritics 2"
);

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
    undone      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    executed_at INTEGER
) STRICT;
CREATE INDEX chat_actions_session ON chat_actions (session, position);
CREATE INDEX chat_actions_skills ON chat_actions (session, position) WHERE module = 'skill';
CREATE INDEX chat_actions_open ON chat_actions (session, position)
    WHERE undone = 0 AND status IN ('allowed', 'asked');

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
CREATE INDEX client_messages_session ON client_messages (session);

-- Which events belong to a turn.
CREATE TABLE turn_events (
    turn     TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (turn, position)
) STRICT, WITHOUT ROWID;

-- Which sessions' prompts hold a text: the last one to go takes it along.
CREATE TABLE blob_uses (
    sha256  TEXT NOT NULL,
    session TEXT NOT NULL,
    PRIMARY KEY (sha256, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_uses_session ON blob_uses (session);
