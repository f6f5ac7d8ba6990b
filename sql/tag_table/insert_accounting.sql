-- What became of a file's rows, in the order of the table's columns.
INSERT INTO accounting VALUES (?, ?, ?, ?, ?, ?, ?, ?);
