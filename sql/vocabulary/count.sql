-- Add the release in hand to counted. Reads: variable shards (its Parquet files).
INSERT INTO counted
WITH occurrences AS (
    SELECT split, unnest(tags) AS tag, unnest(categories) AS category
    FROM read_parquet(getvariable('shards'))
)
SELECT tag, category, count(*) AS posts, count(*) FILTER (split = 'train') AS train_posts
FROM occurrences
GROUP BY tag, category;

CREATE OR REPLACE TEMP TABLE counted AS
SELECT tag, category, sum(posts)::BIGINT AS posts, sum(train_posts)::BIGINT AS train_posts
FROM counted
GROUP BY tag, category
HAVING sum(posts) <> 0;
