-- Rows are numbered while they come in. Numbers that go up take next to no room.
ALTER TABLE files ADD COLUMN number BIGINT;
