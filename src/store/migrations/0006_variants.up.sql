-- Further answers to a message, of which one counts. The views are made anew from the log.

-- Which turn was said to count, and when; the last of those that the session was not taken back from holds for all turns
-- with that `place`. `undone` of messages and actions is 2 where another one counts.
CREATE TABLE turn_choices (
    position INTEGER PRIMARY KEY,
    session  TEXT NOT NULL REFERENCES chat_sessions (id),
    place    INTEGER NOT NULL,
    turn     TEXT NOT NULL
) STRICT;
CREATE INDEX turn_choices_place ON turn_choices (session, place);
CREATE INDEX turns_place ON turns (session, place);
