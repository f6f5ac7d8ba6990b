-- How many posts have all the given labels, and how many of these have each candidate too: one row a candidate.
-- Reads: variables shards (list of Parquet files), given, candidates (lists of labels).

WITH listings AS (
    SELECT booru, fid, release, tags FROM read_parquet(getvariable('shards'))
),
-- A post that is listed again in a later release counts once, as it is there. Only posts that have the labels in some
-- listing can matter, which spares grouping all the others.
latest AS (
    SELECT arg_max(
        tags, row(regexp_full_match(release, '\d{4}[a-z]*'), release[:4], length(release), release)  -- dated ones last
    ) AS tags
    FROM listings
    SEMI JOIN (SELECT booru, fid FROM listings WHERE list_has_all(tags, getvariable('given'))) USING (booru, fid)
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
