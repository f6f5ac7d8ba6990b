-- Tags that are labels, with category and posts: those that were (Arrow table known: label, category, row) in their order,
-- then those that have become frequent enough.
-- Reads: table counted; variables categories (which are learned), min_general_posts, min_name_posts.
WITH totals AS (
    SELECT
        tag AS label,
        -- boorus differ on a tag's category now and then: the one most posts give, the lower on a tie
        arg_max(category, (posts, -category)) AS category,
        sum(posts)::BIGINT AS posts,
        sum(train_posts)::BIGINT AS train_posts
    FROM counted
    GROUP BY tag
)
SELECT
    label,
    coalesce(totals.category, known.category) AS category,
    coalesce(posts, 0) AS posts,
    coalesce(train_posts, 0) AS train_posts
FROM totals
FULL JOIN known USING (label)
WHERE
    row IS NOT NULL
    OR list_contains(getvariable('categories'), totals.category)
        AND posts >= if(totals.category = 0, getvariable('min_general_posts'), getvariable('min_name_posts'))
ORDER BY row NULLS LAST, posts DESC, label;
