-- posts: those in use as the shards have them, read anew.
-- Reads: Arrow table sides (one row a post), variables shards (Parquet files), sides.
CREATE OR REPLACE TABLE posts AS
WITH listed AS (
    SELECT
        booru, fid, release,
        list_sort(list_filter(tags, lambda tag, i: categories[i] = 1)) AS artists,
        list_sort(list_filter(tags, lambda tag, i: categories[i] = 4)) AS characters,
        list_transform(list_filter(tags, lambda tag, i: categories[i] NOT IN (1, 5)), lambda tag: hash(tag)) AS tokens
    FROM read_parquet(getvariable('shards'))
), used AS (
    SELECT
        booru, fid, tokens,
        list_position(getvariable('sides'), split) AS side,
        hash(artists, characters) AS block
    FROM listed
    JOIN sides USING (booru, fid, release)
    WHERE left_out IS NULL
)
SELECT row_number() OVER () AS post, * FROM used;
