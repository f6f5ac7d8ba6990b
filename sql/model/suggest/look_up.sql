-- Which of some names are tags of a post, on how many, and of which category.
-- Reads: the view latest; variable names (list of strings).

SELECT
    tag,
    sum(posts)::BIGINT AS posts,
    arg_max(category, (posts, -category)) AS category  -- as the vocabulary decides where posts differ
FROM (
    SELECT tag, category, count(*) AS posts
    FROM (SELECT unnest(tags) AS tag, unnest(categories) AS category FROM latest)
    WHERE list_contains(getvariable('names'), tag)
    GROUP BY tag, category
)
GROUP BY tag;
