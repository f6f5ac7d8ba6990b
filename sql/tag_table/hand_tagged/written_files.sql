-- SQLite: the rows of files that a script leaves, in the order in which they came.
SELECT rowid, * FROM files ORDER BY rowid;
