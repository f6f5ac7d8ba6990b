-- Rows of files as a layout gives them, as typed columns, with a reason where a row cannot be used.
-- Reads: relation `lines` (number BIGINT, of the row in the file, from 0; fields VARCHAR[], null if the line is none;
--        problem VARCHAR, why it is none; booru_name VARCHAR, the canonical name where it is written otherwise, which
--        is known if is_spelled BOOLEAN is true);
--        variable header, the columns' names in lower case, in the order of fields;
--        variable shard, the release's name.
-- Almost all names are plain, printable ASCII without capitals or what begins an entity, and canonical as they are.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field.

CREATE OR REPLACE TEMP VIEW parsed_files AS
WITH named AS (
    SELECT
        number, fields, problem, is_spelled, booru_name,
        field(fields, 'booru') AS raw_booru,
        field(fields, 'fid') AS fid_text,
        coalesce(nullif(field(fields, 'shard'), ''), getvariable('shard')) AS shard,
        coalesce(field(fields, 'file_name'), '') AS file_name,
        nullif(field(fields, 'torr_md5'), '') AS torr_md5,
        nullif(field(fields, 'orig_ext'), '') AS orig_ext,
        nullif(lower(field(fields, 'orig_md5')), '') AS orig_md5,
        field(fields, 'file_size') AS file_size_text,
        regexp_extract(
            field(fields, 'img_size_torr'), '^\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$', ['width', 'height']
        ) AS size,
        coalesce(field(fields, 'img_width_torr'), field(fields, 'width')) AS given_width,
        coalesce(field(fields, 'img_height_torr'), field(fields, 'height')) AS given_height,
        nullif(field(fields, 'jq'), '') AS jq,
        nullif(field(fields, 'torr_path'), '') AS torr_path,
        nullif(field(fields, 'tags_copyr'), '') AS tags_copyr,
        nullif(field(fields, 'tags_char'), '') AS tags_char,
        nullif(field(fields, 'tags_artist'), '') AS tags_artist,
        rating_of(field(fields, 'rating')) AS rating,
        try_cast(trim(field(fields, 'score')) AS INTEGER) AS score,
        nullif(field(fields, 'source'), '') AS source
    FROM lines
), spelled AS (
    SELECT
        named.*,
        coalesce(booru_name, raw_booru) AS booru,
        trim(coalesce(given_width, size.width)) AS width_text,
        trim(coalesce(given_height, size.height)) AS height_text
    FROM named
)
SELECT
    number, fields,
    CASE
        -- almost all rows, and what follows is dear
        WHEN len(fields) BETWEEN len(getvariable('header')) - 1 AND len(getvariable('header'))
            AND booru != '' AND is_plain_number(fid_text) AND is_plain_number(file_size_text) THEN NULL
        WHEN fields IS NULL THEN coalesce(problem, 'not_utf8')
        WHEN fields = [''] THEN 'blank'
        WHEN len(fields) < len(getvariable('header')) - 1 THEN 'short_line'
        WHEN len(fields) > len(getvariable('header')) THEN 'long_line'
        WHEN coalesce(booru, '') = '' THEN 'empty_booru'
        WHEN NOT is_number(fid_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(file_size_text) THEN 'bad_number'
    END AS reason,
    is_spelled OR regexp_full_match(raw_booru, '[!-%''-.0-9;->@\[-~]*[^.]') AS is_plain,
    booru,
    try_cast(fid_text AS BIGINT) AS fid,
    shard, file_name, torr_md5, orig_ext, orig_md5,
    try_cast(file_size_text AS BIGINT) AS file_size,
    if(regexp_full_match(width_text, '\d+'), try_cast(width_text AS INTEGER), NULL) AS img_width_torr,
    if(regexp_full_match(height_text, '\d+'), try_cast(height_text AS INTEGER), NULL) AS img_height_torr,
    jq, torr_path, tags_copyr, tags_char, tags_artist, rating, score, source
FROM spelled;
