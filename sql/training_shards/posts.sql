-- The tag table (attached as `source`) as one row a post, on its side of the split.
-- Reads: variables release, salt, validation_share, test_share; relation aliases (alias, tag); table canonical.
-- The side is decided by a hash of the picture, not of the post: a picture posted on three boorus, or listed again in a
-- later release, is always on the same one. md5 and not hash(), because hash() changes between DuckDB's versions.

CREATE OR REPLACE TEMP TABLE posts AS
WITH grouped AS (
    SELECT
        booru, fid,
        coalesce(orig_md5, md5(booru || ' ' || fid)) AS group_md5
    FROM source.files
), placed AS (
    SELECT
        booru, fid, group_md5,
        ('0x' || left(md5(getvariable('salt') || ' ' || group_md5), 8))::UBIGINT / 4294967296.0 AS place
    FROM grouped
), tagged AS (
    SELECT
        booru, fid,
        list(tag ORDER BY tag) AS tags,
        list(category ORDER BY tag) AS categories
    FROM (
        SELECT booru, fid, tag, coalesce(tag_cat, -1) AS category
        FROM source.tags
        ANTI JOIN aliases ON source.tags.tag = aliases.alias
        UNION ALL
        SELECT booru, fid, tag, category FROM canonical
    )
    GROUP BY booru, fid
)
SELECT
    booru, fid,
    getvariable('release') AS release,
    CASE
        WHEN place < getvariable('test_share') THEN 'test'
        WHEN place < getvariable('test_share') + getvariable('validation_share') THEN 'validation'
        ELSE 'train'
    END AS split,
    group_md5,
    coalesce(tags, []) AS tags,
    coalesce(categories, [])::TINYINT[] AS categories  -- signed: -1 is uncatalogued
FROM placed
LEFT JOIN tagged USING (booru, fid);
