-- Lines of the tags TSV as typed columns, with a reason where a line cannot be used.
-- Reads: relation `lines` (line BIGINT; fields VARCHAR[], null if the line is not UTF-8; wanted BOOLEAN);
--        variable header, the column names in lower case, in the file's order.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field.

CREATE OR REPLACE TEMP VIEW parsed_tags AS
WITH named AS (
    SELECT
        line, fields,
        fields[list_position(getvariable('header'), 'booru')] AS booru,
        fields[list_position(getvariable('header'), 'fid')] AS fid_text,
        fields[list_position(getvariable('header'), 'tag')] AS tag,
        fields[list_position(getvariable('header'), 'tag_id')] AS tag_id_text,
        fields[list_position(getvariable('header'), 'tag_cat')] AS tag_cat_text,
        nullif(fields[list_position(getvariable('header'), 'danb_fr')], '') AS danb_fr
    FROM lines
    WHERE wanted
)
SELECT
    line, fields,
    CASE
        WHEN fields IS NULL THEN 'not_utf8'
        WHEN fields = [''] THEN 'blank'
        WHEN len(fields) < len(getvariable('header')) - 1 THEN 'short_line'
        WHEN len(fields) > len(getvariable('header')) THEN 'long_line'
        WHEN coalesce(booru, '') = '' THEN 'empty_booru'
        WHEN coalesce(tag, '') = '' THEN 'empty_tag'
        WHEN NOT is_number(fid_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(tag_id_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(tag_cat_text) THEN 'bad_number'
        WHEN try_cast(tag_cat_text AS BIGINT) NOT BETWEEN -128 AND 127 THEN 'bad_number'
    END AS reason,
    booru,
    try_cast(fid_text AS BIGINT) AS fid,
    tag,
    try_cast(tag_id_text AS BIGINT) AS tag_id,
    try_cast(tag_cat_text AS TINYINT) AS tag_cat,
    danb_fr
FROM named;
