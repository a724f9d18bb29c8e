-- Back to what step 3 knew of model calls. The views are made anew by its own program.
ALTER TABLE chat_sessions DROP COLUMN model;
DROP TABLE model_calls;
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
