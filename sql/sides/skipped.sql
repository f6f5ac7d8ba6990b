-- Blocks that were too large to be gone through, and the posts in them.
SELECT count(*), coalesce(sum(posts), 0)::BIGINT FROM blocks WHERE is_skipped;
