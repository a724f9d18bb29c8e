-- What models were asked and what that cost; which of them a session is answered by. The views are made anew.
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
    PRIMARY KEY (turn, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_calls_time ON model_calls (asked_at, cost);
CREATE INDEX model_calls_session ON model_calls (session, cost);

ALTER TABLE chat_sessions ADD COLUMN model TEXT;
