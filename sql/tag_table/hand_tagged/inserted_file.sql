-- SQLite: the row that a statement has put into files.
SELECT * FROM files;
