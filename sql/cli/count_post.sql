-- How many posts of a release have an id, on a booru if one is given.
-- Reads: variables shards (Parquet files), fid, booru (any if null).
SELECT count(*)
FROM read_parquet(getvariable('shards'))
WHERE fid = getvariable('fid')::BIGINT AND booru = coalesce(getvariable('booru')::VARCHAR, booru);
