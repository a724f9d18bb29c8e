-- Back to the list of sessions in the order in which they were made.
DROP INDEX chat_sessions_all_recent;
DROP INDEX chat_sessions_recent;
