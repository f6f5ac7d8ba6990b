-- How many posts have all of `given`, and how many of these have each of `candidates` too.
-- In:  shards      list of Parquet files
--      given       list of labels
--      candidates  list of labels
-- Out: one row a candidate: candidate, together, given.
WITH rows AS (
    SELECT booru, fid, release, tags FROM read_parquet(getvariable('shards'))
),
-- A post may be listed in several releases, and its latest listing counts. Only posts that have the labels in some
-- listing can matter, which spares grouping all of them.
latest AS (
    SELECT arg_max(tags, row(release[:4], length(release), release)) AS tags
    FROM rows
    SEMI JOIN (SELECT booru, fid FROM rows WHERE list_has_all(tags, getvariable('given'))) USING (booru, fid)
    GROUP BY booru, fid
),
posts AS (
    SELECT list_distinct(tags) AS tags FROM latest WHERE list_has_all(tags, getvariable('given'))
),
counts AS (
    SELECT tag, count(*) AS posts FROM (SELECT unnest(tags) AS tag FROM posts) GROUP BY tag
)
SELECT
    candidate,
    coalesce(counts.posts, 0) AS together,
    (SELECT count(*) FROM posts) AS given
FROM (SELECT unnest(getvariable('candidates')) AS candidate)
LEFT JOIN counts ON counts.tag = candidate;
