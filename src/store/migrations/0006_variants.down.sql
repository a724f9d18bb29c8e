-- Back to one answer to each message. The views are made anew by that version's own program.
DROP INDEX turns_place;
DROP TABLE turn_choices;
