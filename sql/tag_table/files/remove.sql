-- Rows of files that turned out to be repeats. Reads: relation repeats (row BIGINT).
DELETE FROM files WHERE rowid IN (SELECT row FROM repeats);
