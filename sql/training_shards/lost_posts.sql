-- Posts and tags of the tag table (attached as `source`) less those in the shards: both must be 0.
-- Reads: variables shards (Parquet files), merged (tag rows that fell together with another of their post).
SELECT
    (SELECT count(*) FROM source.files) - count(*) AS posts,
    (SELECT count(*) FROM source.tags) - getvariable('merged') - coalesce(sum(len(tags)), 0)::BIGINT AS tags
FROM read_parquet(getvariable('shards'));
