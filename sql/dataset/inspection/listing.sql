-- The tags of a post as a release's shards have them.
-- Reads: variables shards (Parquet files of that release), booru, fid.
SELECT unnest(tags) AS tag, unnest(categories) AS category
FROM read_parquet(getvariable('shards'))
WHERE booru = getvariable('booru') AND fid = getvariable('fid');
