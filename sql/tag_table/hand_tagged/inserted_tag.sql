-- SQLite: the row that a statement has put into tags.
SELECT * FROM tags;
