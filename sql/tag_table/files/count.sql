-- Rows that are kept.
SELECT count(*) FROM files;
