-- All rows are in.
ALTER TABLE tags DROP COLUMN number;
ALTER TABLE raw_tags DROP COLUMN number;
