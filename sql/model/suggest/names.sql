-- Makes the table `names`, the tags of all posts, numbered, with their posts and category; and gives them in order.
-- Reads: the view latest.

CREATE OR REPLACE TEMP TABLE names AS
SELECT
    tag,
    (row_number() OVER (ORDER BY tag) - 1)::INTEGER AS row,
    sum(posts)::BIGINT AS posts,
    arg_max(category, (posts, -category))::TINYINT AS category  -- as in look_up
FROM (
    SELECT tag, category, count(*) AS posts
    FROM (SELECT unnest(tags) AS tag, unnest(categories) AS category FROM latest)
    GROUP BY tag, category
)
GROUP BY tag;

SELECT tag, category FROM names ORDER BY row;
