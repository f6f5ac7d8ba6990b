-- Lines of the files TSV -> typed columns, and a reason where a line cannot be used.
-- Reads: relation `lines` (line BIGINT, raw BLOB), the file's lines without line ends;
--        variable header, the column names in lower case, in the file's order;
--        variable shard, the release's name.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field.

CREATE OR REPLACE TEMP TABLE parsed_files AS
WITH decoded AS (
    SELECT line, raw, try(decode(raw)) AS text
    FROM lines
    WHERE line > 1
), split AS (
    SELECT
        line, raw, text,
        string_split(text, chr(9)) AS fields
    FROM decoded
), named AS (
    SELECT
        line, raw, text,
        len(fields) AS width,
        fields[list_position(getvariable('header'), 'booru')] AS booru,
        fields[list_position(getvariable('header'), 'fid')] AS fid_text,
        fields[list_position(getvariable('header'), 'file_name')] AS file_name,
        nullif(fields[list_position(getvariable('header'), 'torr_md5')], '') AS torr_md5,
        nullif(fields[list_position(getvariable('header'), 'orig_ext')], '') AS orig_ext,
        nullif(lower(fields[list_position(getvariable('header'), 'orig_md5')]), '') AS orig_md5,
        nullif(trim(fields[list_position(getvariable('header'), 'file_size')]), '') AS file_size_text,
        regexp_extract(
            fields[list_position(getvariable('header'), 'img_size_torr')],
            '^\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$', ['width', 'height']
        ) AS size,
        nullif(fields[list_position(getvariable('header'), 'jq')], '') AS jq,
        nullif(fields[list_position(getvariable('header'), 'torr_path')], '') AS torr_path,
        nullif(fields[list_position(getvariable('header'), 'tags_copyr')], '') AS tags_copyr,
        nullif(fields[list_position(getvariable('header'), 'tags_char')], '') AS tags_char,
        nullif(fields[list_position(getvariable('header'), 'tags_artist')], '') AS tags_artist
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
        WHEN try_cast(fid_text AS BIGINT) IS NULL THEN 'bad_number'
        WHEN file_size_text IS NOT NULL AND try_cast(file_size_text AS BIGINT) IS NULL THEN 'bad_number'
    END AS reason,
    booru,
    try_cast(fid_text AS BIGINT) AS fid,
    getvariable('shard') AS shard,
    file_name, torr_md5, orig_ext, orig_md5,
    try_cast(file_size_text AS BIGINT) AS file_size,
    try_cast(nullif(size.width, '') AS INTEGER) AS img_width_torr,
    try_cast(nullif(size.height, '') AS INTEGER) AS img_height_torr,
    jq, torr_path, tags_copyr, tags_char, tags_artist
FROM named;
