-- The sessions in which something happened last, without sorting all of them.
CREATE INDEX chat_sessions_recent ON chat_sessions (archived, updated_at, position);
CREATE INDEX chat_sessions_all_recent ON chat_sessions (updated_at, position);
