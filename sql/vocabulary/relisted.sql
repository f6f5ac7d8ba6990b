-- superseded: what the release in hand lists again, as it was listed last before; gives the files that hold any of it.
-- Reads: variables former (Parquet files of the earlier releases' shards, in reading order), shards (of this release).
-- The listing that counts is in the last file, so only two columns of all files are read.
CREATE OR REPLACE TEMP TABLE superseded AS
SELECT booru, fid, arg_max(filename, list_position(getvariable('former'), filename)) AS filename
FROM read_parquet(getvariable('former'), filename = true)
SEMI JOIN (SELECT booru, fid FROM read_parquet(getvariable('shards'))) AS listed USING (booru, fid)
GROUP BY booru, fid;

SELECT DISTINCT filename FROM superseded ORDER BY filename;
