-- The view `latest`: the tags of each post and their categories, as its latest listing has them.
-- Reads: variable shards (list of Parquet files).

-- Which listing counts of a post that is listed in several releases. Few are, so the tags of the others need no grouping.
CREATE OR REPLACE TEMP TABLE relisted AS
SELECT
    booru,
    fid,
    arg_max(
        release, row(regexp_full_match(release, '\d{4}[a-z]*'), release[:4], length(release), release)  -- dated ones last
    ) AS release
FROM read_parquet(getvariable('shards'))
GROUP BY booru, fid
HAVING count(*) > 1;

CREATE OR REPLACE TEMP VIEW latest AS
SELECT listings.tags, listings.categories
FROM read_parquet(getvariable('shards')) AS listings
LEFT JOIN relisted USING (booru, fid)
WHERE relisted.release IS NULL OR relisted.release = listings.release;
