-- A later step's way back may have left none of them.
DROP TABLE IF EXISTS turn_events;
DROP TABLE IF EXISTS client_messages;
DROP TABLE IF EXISTS model_calls;
DROP TABLE IF EXISTS chat_actions;
DROP TABLE IF EXISTS chat_messages;
DROP TABLE IF EXISTS turns;
DROP TABLE IF EXISTS chat_sessions;
