-- How many posts have a label, in any of their listings.
-- Reads: variables shards (list of Parquet files), tag.

SELECT count(DISTINCT (booru, fid)) AS posts
FROM read_parquet(getvariable('shards'))
WHERE list_contains(tags, getvariable('tag'));
