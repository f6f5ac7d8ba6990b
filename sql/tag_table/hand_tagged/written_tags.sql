-- SQLite: the rows of tags that a script leaves, in the order in which they came.
SELECT rowid, * FROM tags ORDER BY rowid;
