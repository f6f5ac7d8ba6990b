-- SQLite: tells the program of each row that comes into files or tags, goes, or changes, whatever statement does it.
-- `guard` is replaced by a name that no script knows.

CREATE TEMP TRIGGER guard_1 AFTER INSERT ON main.files BEGIN SELECT guard_inserted('files', new.rowid); END;
CREATE TEMP TRIGGER guard_2 AFTER INSERT ON main.tags BEGIN SELECT guard_inserted('tags', new.rowid); END;
CREATE TEMP TRIGGER guard_3 AFTER UPDATE ON main.files BEGIN SELECT guard_changed('files', new.rowid); END;
CREATE TEMP TRIGGER guard_4 AFTER UPDATE ON main.tags BEGIN SELECT guard_changed('tags', new.rowid); END;
CREATE TEMP TRIGGER guard_5 AFTER DELETE ON main.files BEGIN SELECT guard_removed('files', old.rowid); END;
CREATE TEMP TRIGGER guard_6 AFTER DELETE ON main.tags BEGIN SELECT guard_removed('tags', old.rowid); END;
