-- How many posts have each of some tags, in any of their listings.
-- Reads: variables shards (Parquet files), asked (tags).
SELECT tag, count(DISTINCT (booru, fid)) AS posts
FROM (SELECT booru, fid, unnest(list_intersect(tags, getvariable('asked'))) AS tag FROM read_parquet(getvariable('shards')))
GROUP BY tag;
