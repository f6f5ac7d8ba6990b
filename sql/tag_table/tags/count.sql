-- Rows that are kept.
SELECT count(*) FROM tags;
