-- Posts and tags of the tag table (attached as `source`) less those in the shards (variable shards): both must be 0.
SELECT
    (SELECT count(*) FROM source.files) - count(*) AS posts,
    (SELECT count(*) FROM source.tags) - coalesce(sum(len(tags)), 0)::BIGINT AS tags
FROM read_parquet(getvariable('shards'));
