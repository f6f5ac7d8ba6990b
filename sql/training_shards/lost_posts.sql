-- Posts and tags of the tag table (attached as `source`) less those in the shards: both must be 0.
-- Reads: variables shards (Parquet files), merged (tag rows that fell together with another of their post), left_out_posts
--        and left_out_tags (those that options leave out).
SELECT
    (SELECT count(*) FROM source.files) - getvariable('left_out_posts') - count(*) AS posts,
    (SELECT count(*) FROM source.tags) - getvariable('left_out_tags') - getvariable('merged')
        - coalesce(sum(len(tags)), 0)::BIGINT AS tags
FROM read_parquet(getvariable('shards'));
