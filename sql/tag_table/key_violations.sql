-- Keys that stand twice, and tags of posts that are not there: all three must be 0.
-- Rows that share a hash are few or none, and they alone are compared: the keys of all would take gigabytes.
WITH alike AS (
    SELECT hash(booru, fid, tag) AS alike
    FROM tags
    GROUP BY alike
    HAVING count(*) > 1
), repeated AS (
    SELECT count(*) - 1 AS more
    FROM tags
    WHERE hash(booru, fid, tag) IN (FROM alike)
    GROUP BY booru, fid, tag
)
SELECT
    (SELECT count(*) - count(DISTINCT (booru, fid)) FROM files) AS repeated_files,
    (SELECT coalesce(sum(more), 0)::BIGINT FROM repeated) AS repeated_tags,
    (SELECT count(*) FROM tags ANTI JOIN files USING (booru, fid)) AS tags_without_file;
