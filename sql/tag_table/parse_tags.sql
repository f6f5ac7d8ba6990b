-- Lines of the tags TSV -> typed columns, and a reason where a line cannot be used.
-- Reads: relation `lines` (line BIGINT, raw BLOB), the file's lines without line ends;
--        variable header, the column names in lower case, in the file's order.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field.

CREATE OR REPLACE TEMP TABLE parsed_tags AS
WITH decoded AS (
    SELECT line, raw, try(decode(raw)) AS text
    FROM lines
    WHERE line > 1
), split AS (
    SELECT line, raw, text, string_split(text, chr(9)) AS fields
    FROM decoded
), named AS (
    SELECT
        line, raw, text,
        len(fields) AS width,
        fields[list_position(getvariable('header'), 'booru')] AS booru,
        fields[list_position(getvariable('header'), 'fid')] AS fid_text,
        fields[list_position(getvariable('header'), 'tag')] AS tag,
        nullif(trim(fields[list_position(getvariable('header'), 'tag_id')]), '') AS tag_id_text,
        nullif(trim(fields[list_position(getvariable('header'), 'tag_cat')]), '') AS tag_cat_text,
        nullif(fields[list_position(getvariable('header'), 'danb_fr')], '') AS danb_fr
    FROM split
)
SELECT
    line, raw,
    CASE
        WHEN octet_length(raw) = 0 THEN 'blank'
        WHEN text IS NULL THEN 'not_utf8'
        WHEN width < len(getvariable('header')) - 1 THEN 'short_line'
        WHEN width > len(getvariable('header')) THEN 'long_line'
        WHEN booru = '' THEN 'empty_booru'
        WHEN tag = '' THEN 'empty_tag'
        WHEN try_cast(fid_text AS BIGINT) IS NULL THEN 'bad_number'
        WHEN tag_id_text IS NOT NULL AND try_cast(tag_id_text AS BIGINT) IS NULL THEN 'bad_number'
        WHEN tag_cat_text IS NOT NULL AND try_cast(tag_cat_text AS TINYINT) IS NULL THEN 'bad_number'
    END AS reason,
    booru,
    try_cast(fid_text AS BIGINT) AS fid,
    tag,
    try_cast(tag_id_text AS BIGINT) AS tag_id,
    try_cast(tag_cat_text AS TINYINT) AS tag_cat,
    danb_fr
FROM named;
