-- Rows of tags that turned out to be repeats. Reads: relation repeats (number BIGINT, of the row).
DELETE FROM tags WHERE number IN (SELECT number FROM repeats);
