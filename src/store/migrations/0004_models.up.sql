-- What models were asked and what that cost; which of them a session is answered by. The views are made anew.

-- One row per call of a model. `copied` is 1 for what a session has from the one that it is a copy of: nobody was asked again.
DROP TABLE model_calls;
CREATE TABLE model_calls (
    turn              TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    session           TEXT NOT NULL,
    model             TEXT NOT NULL,
    persona           TEXT NOT NULL,
    asked_at          INTEGER NOT NULL,
    verdict           TEXT,
    trouble           TEXT,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    cached_tokens     INTEGER,
    reasoning_tokens  INTEGER,
    estimated         INTEGER NOT NULL,
    cost              INTEGER,
    saved             INTEGER,
    bytes             INTEGER,
    begun_ms          INTEGER,
    first_ms          INTEGER,
    total_ms          INTEGER,
    copied            INTEGER NOT NULL,
    PRIMARY KEY (turn, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_calls_time ON model_calls (asked_at, cost) WHERE copied = 0;
CREATE INDEX model_calls_session ON model_calls (session, asked_at);

-- `copied_to` is the number of the last event that is a copy. The rest are sums of the session's own calls, so that a list
-- of sessions has not to add them up.
ALTER TABLE chat_sessions ADD COLUMN model TEXT;
ALTER TABLE chat_sessions ADD COLUMN copied_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chat_sessions ADD COLUMN prompt_tokens INTEGER;
ALTER TABLE chat_sessions ADD COLUMN completion_tokens INTEGER;
ALTER TABLE chat_sessions ADD COLUMN cached_tokens INTEGER;
ALTER TABLE chat_sessions ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE chat_sessions ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chat_sessions ADD COLUMN cost INTEGER;

-- What was spent in deleted sessions on the days on which they were deleted.
CREATE TABLE deleted_costs (
    session TEXT PRIMARY KEY,
    time    INTEGER NOT NULL,
    cost    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_costs_time ON deleted_costs (time, cost);
