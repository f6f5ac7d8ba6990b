-- Rows of files that turned out to be repeats. Reads: relation repeats (number BIGINT, of the row).
DELETE FROM files WHERE number IN (SELECT number FROM repeats);
