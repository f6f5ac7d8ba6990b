-- Rows that a script puts into files -> files, rejects, accounting. Of rows with one key the first is kept; an equal one
-- is a duplicate, and one that differs is rejected, since nothing says which of the two is right.
-- Reads: relation script_rows (number and line BIGINT, raw BLOB, is_text BOOLEAN, and the columns of
--        sqlite_tables.sql as text); variable shard, for rows that name none.

CREATE OR REPLACE TEMP TABLE judged_files AS
WITH sized AS (
    SELECT *, regexp_extract(img_size_torr, '^\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$', ['width', 'height']) AS size
    FROM script_rows
), typed AS (
    SELECT
        number, line, raw, is_text,
        booru,
        CASE WHEN regexp_full_match(trim(fid), '-?\d+') THEN try_cast(trim(fid) AS BIGINT) END AS fid,
        coalesce(nullif(shard, ''), getvariable('shard')) AS shard,
        coalesce(file_name, '') AS file_name,
        nullif(torr_md5, '') AS torr_md5,
        nullif(orig_ext, '') AS orig_ext,
        nullif(lower(orig_md5), '') AS orig_md5,
        nullif(trim(file_size), '') AS file_size_text,
        coalesce(img_width_torr, width, nullif(size.width, '')) AS width_text,
        coalesce(img_height_torr, height, nullif(size.height, '')) AS height_text,
        nullif(jq, '') AS jq,
        nullif(torr_path, '') AS torr_path,
        nullif(tags_copyr, '') AS tags_copyr,
        nullif(tags_char, '') AS tags_char,
        nullif(tags_artist, '') AS tags_artist
    FROM sized
), named AS (
    SELECT
        * EXCLUDE (file_size_text, width_text, height_text),
        CASE WHEN regexp_full_match(file_size_text, '-?\d+') THEN try_cast(file_size_text AS BIGINT) END AS file_size,
        CASE WHEN regexp_full_match(trim(width_text), '\d+') THEN try_cast(trim(width_text) AS INTEGER) END
            AS img_width_torr,
        CASE WHEN regexp_full_match(trim(height_text), '\d+') THEN try_cast(trim(height_text) AS INTEGER) END
            AS img_height_torr,
        CASE
            WHEN NOT is_text THEN 'not_utf8'
            WHEN coalesce(booru, '') = '' THEN 'empty_booru'
            WHEN fid IS NULL THEN 'bad_number'
            WHEN file_size_text IS NOT NULL AND file_size IS NULL THEN 'bad_number'
        END AS reason
    FROM typed
), compared AS (
    SELECT *, row(*COLUMNS(* EXCLUDE (number, line, raw))) AS content
    FROM named
)
SELECT
    * EXCLUDE (is_text, reason, content),
    CASE
        WHEN reason IS NOT NULL THEN reason
        WHEN row_number() OVER same_key = 1 THEN NULL
        WHEN content = first_value(content) OVER same_key THEN 'duplicate'
        ELSE 'conflicting_duplicate'
    END AS outcome
FROM compared
WINDOW same_key AS (PARTITION BY booru, fid, reason IS NULL ORDER BY number);

INSERT INTO files BY NAME
SELECT * EXCLUDE (number, line, raw, outcome) FROM judged_files WHERE outcome IS NULL ORDER BY number;

INSERT INTO rejects
SELECT 'files', line, outcome, raw FROM judged_files WHERE outcome != 'duplicate' ORDER BY number;

INSERT INTO accounting BY NAME
SELECT
    'files' AS source,
    count(*) AS lines_read,
    0 AS header,
    count(*) FILTER (outcome IS NULL) AS kept,
    count(*) FILTER (outcome = 'duplicate') AS duplicates,
    count(*) FILTER (outcome != 'duplicate') AS rejected,
    0 AS blank
FROM judged_files;
