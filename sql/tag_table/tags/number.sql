-- Rows are numbered while they come in. Numbers that go up take next to no room.
ALTER TABLE tags ADD COLUMN number BIGINT;
ALTER TABLE raw_tags ADD COLUMN number BIGINT;
