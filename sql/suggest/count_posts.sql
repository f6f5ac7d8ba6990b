-- How many posts have a label, in any listing.
-- In:  shards  list of Parquet files
--      tag     the label
-- Out: one row: posts.
SELECT count(DISTINCT (booru, fid)) AS posts
FROM read_parquet(getvariable('shards'))
WHERE list_contains(tags, getvariable('tag'));
