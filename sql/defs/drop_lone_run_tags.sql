-- SQLite: in Dagster's runs.db, tags of runs that were deleted. Dagster leaves them to a cascade that SQLite has switched
-- off.
DELETE FROM run_tags WHERE run_id NOT IN (SELECT run_id FROM runs);
