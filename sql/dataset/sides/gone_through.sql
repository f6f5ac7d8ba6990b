-- Posts in use that the shards hold; blocks that were too large to be gone through, and the posts in them.
SELECT
    (SELECT count(*) FROM posts),
    count(*),
    coalesce(sum(posts), 0)::BIGINT
FROM blocks
WHERE is_skipped;
