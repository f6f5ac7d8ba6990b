-- Rows of tags that turned out to be repeats. Reads: relation repeats (row BIGINT).
DELETE FROM tags WHERE rowid IN (SELECT row FROM repeats);
