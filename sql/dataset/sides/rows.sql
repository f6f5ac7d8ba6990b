-- A release's posts (Parquet files in variable shards), tags and pictures also as hashes.
-- hash() and not md5(): it is fast. What is stored of it says with which version of DuckDB.
SELECT
    booru, fid,
    group_md5 AS picture,
    list_position(getvariable('sides'), split)::TINYINT AS side,
    list_transform(tags, lambda tag: hash(tag)) AS tokens,
    categories,
    hash(group_md5) AS picture_token
FROM read_parquet(getvariable('shards'));
