-- All rows are in.
ALTER TABLE files DROP COLUMN number;
