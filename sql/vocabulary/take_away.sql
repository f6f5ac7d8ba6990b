-- Take from counted what the release in hand lists again: a post counts as it was listed last.
-- Reads: variable files (Parquet files that hold what is superseded), table superseded.
INSERT INTO counted
WITH occurrences AS (
    SELECT split, unnest(tags) AS tag, unnest(categories) AS category
    FROM read_parquet(getvariable('files'), filename = true)
    SEMI JOIN superseded USING (booru, fid, filename)
)
SELECT tag, category, -count(*) AS posts, -count(*) FILTER (split = 'train') AS train_posts
FROM occurrences
GROUP BY tag, category;
