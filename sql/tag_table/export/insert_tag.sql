-- SQLite: a row of tags.
INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?);
