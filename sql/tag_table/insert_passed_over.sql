-- A statement of a script that put nothing into files or tags: its line and its beginning.
INSERT INTO passed_over VALUES (?, ?);
