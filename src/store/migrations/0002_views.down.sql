DROP TABLE turn_events;
DROP TABLE client_messages;
DROP TABLE model_calls;
DROP TABLE chat_actions;
DROP TABLE chat_messages;
DROP TABLE turns;
DROP TABLE chat_sessions;
