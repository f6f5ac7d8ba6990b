-- The tag table as one row a post, on its side of the split.
-- Reads: views taken_files and taken_tags; variables release, salt, validation_share, test_share; relation aliases (alias,
--        tag); table canonical.
-- The side is decided by a hash of the picture, not of the post: a picture posted on three boorus, or listed again in a
-- later release, is always on the same one. md5 and not hash(), because hash() changes between DuckDB's versions.
-- What is no picture's md5 (none, zeros, that of an empty file, or one that many posts of one booru share: a booru refuses
-- the same file twice, so it is a placeholder's) says nothing, and such a post is its own group.

CREATE OR REPLACE TEMP TABLE posts AS
WITH shared AS (
    SELECT DISTINCT orig_md5
    FROM taken_files
    GROUP BY booru, orig_md5
    HAVING count(*) >= 20
), grouped AS (
    SELECT
        booru, fid, rating, score,
        if(
            regexp_full_match(orig_md5, '[0-9a-f]{32}')
                AND orig_md5 NOT IN ('d41d8cd98f00b204e9800998ecf8427e')
                AND replace(orig_md5, left(orig_md5, 1), '') != ''
                AND shared.orig_md5 IS NULL,
            orig_md5,
            NULL
        ) AS picture_md5
    FROM taken_files
    LEFT JOIN shared USING (orig_md5)
), placed AS (
    SELECT
        *,
        coalesce(picture_md5, md5(booru || ' ' || fid)) AS group_md5,
        ('0x' || left(md5(getvariable('salt') || ' ' || group_md5), 8))::UBIGINT / 4294967296.0 AS place
    FROM grouped
), tagged AS (
    SELECT
        booru, fid,
        list(tag ORDER BY tag) AS tags,
        list(category ORDER BY tag) AS categories
    FROM (
        SELECT booru, fid, tag, coalesce(tag_cat, -1) AS category
        FROM taken_tags
        ANTI JOIN aliases ON taken_tags.tag = aliases.alias
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
    coalesce(categories, [])::TINYINT[] AS categories,  -- signed: -1 is uncatalogued
    rating,
    score,
    picture_md5 IS NULL AS without_picture
FROM placed
LEFT JOIN tagged USING (booru, fid);
