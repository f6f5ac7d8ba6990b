-- The tag tables of all attached releases as one; the column shard says which a row came from, for files.
-- Reads: variables files, tags: lists of table names such as '"2021a".files'.
CREATE OR REPLACE VIEW files AS FROM query_table(getvariable('files'));
CREATE OR REPLACE VIEW tags AS FROM query_table(getvariable('tags'));
