-- Back to a log from which nothing goes, without views: those of step 2 its own program makes. What was deleted stays deleted.
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
DROP TABLE erasure;
