-- Tags with category and posts, over the shards of this and all earlier releases.
-- Reads: variables shards (Parquet files), releases (keys in release order), categories (which are learned),
--        min_general_posts, min_name_posts.
-- A post that is listed again in a later release counts once, as it stands there.

WITH latest AS (
    SELECT booru, fid, split, tags, categories
    FROM read_parquet(getvariable('shards'))
    QUALIFY row_number() OVER (
        PARTITION BY booru, fid ORDER BY list_position(getvariable('releases'), release) DESC
    ) = 1
), occurrences AS (
    SELECT split, unnest(tags) AS tag, unnest(categories) AS category
    FROM latest
), counted AS (
    SELECT
        tag AS label,
        -- boorus differ on a tag's category now and then: the one most posts give, the lower on a tie
        arg_max(category, (posts, -category)) AS category,
        sum(posts)::BIGINT AS posts,
        sum(train_posts)::BIGINT AS train_posts
    FROM (
        SELECT tag, category, count(*) AS posts, count(*) FILTER (split = 'train') AS train_posts
        FROM occurrences
        GROUP BY tag, category
    )
    GROUP BY tag
)
SELECT label, category, posts, train_posts
FROM counted
WHERE list_contains(getvariable('categories'), category)
    AND posts >= if(category = 0, getvariable('min_general_posts'), getvariable('min_name_posts'))
ORDER BY posts DESC, label;
