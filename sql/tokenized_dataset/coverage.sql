-- What the captions keep of the latest posts: posts, and tag occurrences by category.
-- Reads: relation `vocabulary` (label, token_id); variables shards, releases.
WITH latest AS (
    SELECT booru, fid, tags, categories
    FROM read_parquet(getvariable('shards'))
    QUALIFY row_number() OVER (
        PARTITION BY booru, fid ORDER BY list_position(getvariable('releases'), release) DESC
    ) = 1
), occurrences AS (
    SELECT unnest(tags) AS label, unnest(categories) AS category
    FROM latest
)
SELECT category, count(*) AS occurrences, count(token_id) AS kept
FROM occurrences
LEFT JOIN vocabulary USING (label)
GROUP BY category
ORDER BY category;
