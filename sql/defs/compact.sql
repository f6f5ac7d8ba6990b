-- SQLite: a database of Dagster's gives the disk what rows have left. The log of the rewriting would stay as large as
-- the file, so that goes too.
VACUUM;
PRAGMA wal_checkpoint(TRUNCATE);
