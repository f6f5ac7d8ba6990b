-- SQLite: what INSERT OR REPLACE and INSERT OR IGNORE mean by the keys of the origin's tables. The tables here have no
-- keys, since a plain INSERT of a row that is there already is to be counted, not to fail.
-- `guard` is replaced by a name that no script knows; guard_conflict() gives the word behind OR.

CREATE INDEX IF NOT EXISTS main.guard_7 ON files (booru, fid);
CREATE INDEX IF NOT EXISTS main.guard_8 ON tags (booru, fid, tag);

CREATE TEMP TRIGGER IF NOT EXISTS guard_9 BEFORE INSERT ON main.files WHEN guard_conflict() = 'REPLACE' BEGIN
    DELETE FROM files WHERE booru = new.booru AND fid = new.fid;
END;
CREATE TEMP TRIGGER IF NOT EXISTS guard_10 BEFORE INSERT ON main.tags WHEN guard_conflict() = 'REPLACE' BEGIN
    DELETE FROM tags WHERE booru = new.booru AND fid = new.fid AND tag = new.tag;
END;
CREATE TEMP TRIGGER IF NOT EXISTS guard_11 BEFORE INSERT ON main.files
WHEN guard_conflict() = 'IGNORE' AND EXISTS (SELECT 1 FROM files WHERE booru = new.booru AND fid = new.fid) BEGIN
    SELECT guard_ignored('files');
    SELECT RAISE(IGNORE);
END;
CREATE TEMP TRIGGER IF NOT EXISTS guard_12 BEFORE INSERT ON main.tags
WHEN guard_conflict() = 'IGNORE'
    AND EXISTS (SELECT 1 FROM tags WHERE booru = new.booru AND fid = new.fid AND tag = new.tag) BEGIN
    SELECT guard_ignored('tags');
    SELECT RAISE(IGNORE);
END;
