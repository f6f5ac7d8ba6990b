-- Rows of tags as a layout gives them, as typed columns, with a reason where a row cannot be used.
-- Reads: relation `lines` and variable header, as in files/parse.sql; the relation has tag_name too.
-- Almost all names are plain, printable ASCII without capitals or what begins an entity, and canonical as they are.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field. A row with a category
-- and no tag is how some tools say that the post has none of that category: it says as much as a blank line.

CREATE OR REPLACE TEMP VIEW parsed_tags AS
WITH named AS (
    SELECT
        number, fields, problem, is_spelled, booru_name, tag_name,
        field(fields, 'booru') AS raw_booru,
        field(fields, 'fid') AS fid_text,
        field(fields, 'tag') AS raw_tag,
        field(fields, 'tag_id') AS tag_id_text,
        field(fields, 'tag_cat') AS tag_cat_text,
        nullif(field(fields, 'danb_fr'), '') AS raw_danb_fr
    FROM lines
), spelled AS (
    SELECT
        named.*,
        coalesce(booru_name, raw_booru) AS booru,
        coalesce(tag_name, raw_tag) AS tag,
        try_cast(tag_cat_text AS TINYINT) AS raw_cat
    FROM named
)
SELECT
    number, fields,
    CASE
        -- almost all rows, and what follows is dear
        WHEN len(fields) BETWEEN len(getvariable('header')) - 1 AND len(getvariable('header'))
            AND booru != '' AND tag != '' AND is_plain_number(fid_text)
            AND is_plain_number(tag_id_text) AND tag_cat_text IN ('-1', '0', '1', '3', '4', '5') THEN NULL
        WHEN fields IS NULL THEN coalesce(problem, 'not_utf8')
        WHEN fields = [''] THEN 'blank'
        WHEN len(fields) < len(getvariable('header')) - 1 THEN 'short_line'
        WHEN len(fields) > len(getvariable('header')) THEN 'long_line'
        WHEN coalesce(booru, '') = '' THEN 'empty_booru'
        WHEN coalesce(tag, '') = '' AND is_placeholder(raw_danb_fr) AND tag_id_text IN ('', '0') THEN 'blank'
        WHEN coalesce(tag, '') = '' THEN 'empty_tag'
        WHEN NOT is_number(fid_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(tag_id_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(tag_cat_text) THEN 'bad_number'
        WHEN try_cast(tag_cat_text AS BIGINT) NOT BETWEEN -128 AND 127 THEN 'bad_number'
    END AS reason,
    is_spelled OR regexp_full_match(raw_tag, '[!-%''-@\[-~]*')
        AND raw_cat IS NOT DISTINCT FROM category_of(raw_cat, booru, raw_danb_fr) AS is_plain,
    booru,
    try_cast(fid_text AS BIGINT) AS fid,
    tag,
    try_cast(tag_id_text AS BIGINT) AS tag_id,
    category_of(raw_cat, booru, raw_danb_fr) AS tag_cat,
    if(is_placeholder(raw_danb_fr), NULL, raw_danb_fr) AS danb_fr,
    raw_tag, raw_cat
FROM spelled;
