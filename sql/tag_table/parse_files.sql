-- Lines of the files TSV as typed columns, with a reason where a line cannot be used.
-- Reads: relation `lines` (line BIGINT; fields VARCHAR[], null if the line is not UTF-8; wanted BOOLEAN);
--        variable header, the column names in lower case, in the file's order;
--        variable shard, the release's name.
-- There is no quoting: a double quote is an ordinary character. A line may lack its last field.

CREATE OR REPLACE TEMP VIEW parsed_files AS
WITH named AS (
    SELECT
        line, fields,
        fields[list_position(getvariable('header'), 'booru')] AS booru,
        fields[list_position(getvariable('header'), 'fid')] AS fid_text,
        coalesce(fields[list_position(getvariable('header'), 'file_name')], '') AS file_name,
        nullif(fields[list_position(getvariable('header'), 'torr_md5')], '') AS torr_md5,
        nullif(fields[list_position(getvariable('header'), 'orig_ext')], '') AS orig_ext,
        nullif(lower(fields[list_position(getvariable('header'), 'orig_md5')]), '') AS orig_md5,
        fields[list_position(getvariable('header'), 'file_size')] AS file_size_text,
        regexp_extract(
            fields[list_position(getvariable('header'), 'img_size_torr')],
            '^\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$', ['width', 'height']
        ) AS size,
        nullif(fields[list_position(getvariable('header'), 'jq')], '') AS jq,
        nullif(fields[list_position(getvariable('header'), 'torr_path')], '') AS torr_path,
        nullif(fields[list_position(getvariable('header'), 'tags_copyr')], '') AS tags_copyr,
        nullif(fields[list_position(getvariable('header'), 'tags_char')], '') AS tags_char,
        nullif(fields[list_position(getvariable('header'), 'tags_artist')], '') AS tags_artist
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
        WHEN NOT is_number(fid_text) THEN 'bad_number'
        WHEN NOT is_number_or_empty(file_size_text) THEN 'bad_number'
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
