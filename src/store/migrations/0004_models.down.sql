-- Back to what step 3 knew of model calls. The views are made anew by its own program.
DROP TABLE deleted_costs;
ALTER TABLE chat_sessions DROP COLUMN cost;
ALTER TABLE chat_sessions DROP COLUMN estimated;
ALTER TABLE chat_sessions DROP COLUMN reasoning_tokens;
ALTER TABLE chat_sessions DROP COLUMN cached_tokens;
ALTER TABLE chat_sessions DROP COLUMN completion_tokens;
ALTER TABLE chat_sessions DROP COLUMN prompt_tokens;
ALTER TABLE chat_sessions DROP COLUMN copied_to;
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
