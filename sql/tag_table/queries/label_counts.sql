-- How many labels of each category have enough posts to be learned, and what share of all tags they cover.
-- Variables: min_posts (31): a label needs so many posts.
WITH labels AS (
    SELECT coalesce(tag_cat, -1) AS tag_cat, lower(tag) AS label, count(*) AS posts
    FROM tags_latest
    GROUP BY ALL
)
SELECT
    CASE tag_cat
        WHEN 0 THEN 'general' WHEN 1 THEN 'artist' WHEN 3 THEN 'copyright' WHEN 4 THEN 'character' WHEN 5 THEN 'meta'
        WHEN -1 THEN 'uncatalogued' ELSE tag_cat::VARCHAR
    END AS category,
    count(*) AS labels,
    count(*) FILTER (posts >= coalesce(getvariable('min_posts'), 31)) AS frequent_labels,
    round(
        coalesce(sum(posts) FILTER (posts >= coalesce(getvariable('min_posts'), 31)), 0) / sum(posts), 4
    ) AS share_of_tags
FROM labels
GROUP BY tag_cat
ORDER BY tag_cat;
