-- Rows that a script puts into tags -> tags, rejects, accounting, after files is loaded. A tag of a post that is not in
-- files is rejected; rows with one key are treated as in load_files.sql. Reads: relation script_rows, as there.

CREATE OR REPLACE TEMP TABLE judged_tags AS
WITH typed AS (
    SELECT
        number, line, raw, is_text,
        booru,
        CASE WHEN regexp_full_match(trim(fid), '-?\d+') THEN try_cast(trim(fid) AS BIGINT) END AS fid,
        tag,
        nullif(trim(tag_id), '') AS tag_id_text,
        nullif(trim(tag_cat), '') AS tag_cat_text,
        nullif(danb_fr, '') AS danb_fr
    FROM script_rows
), named AS (
    SELECT
        * EXCLUDE (tag_id_text, tag_cat_text),
        CASE WHEN regexp_full_match(tag_id_text, '-?\d+') THEN try_cast(tag_id_text AS BIGINT) END AS tag_id,
        CASE WHEN regexp_full_match(tag_cat_text, '-?\d+') THEN try_cast(tag_cat_text AS TINYINT) END AS tag_cat,
        CASE
            WHEN NOT is_text THEN 'not_utf8'
            WHEN coalesce(booru, '') = '' THEN 'empty_booru'
            WHEN coalesce(tag, '') = '' THEN 'empty_tag'
            WHEN fid IS NULL THEN 'bad_number'
            WHEN tag_id_text IS NOT NULL AND tag_id IS NULL THEN 'bad_number'
            WHEN tag_cat_text IS NOT NULL AND tag_cat IS NULL THEN 'bad_number'
            WHEN NOT EXISTS (FROM files WHERE files.booru = typed.booru AND files.fid = typed.fid) THEN 'no_such_file'
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
WINDOW same_key AS (PARTITION BY booru, fid, tag, reason IS NULL ORDER BY number);

INSERT INTO tags BY NAME
SELECT * EXCLUDE (number, line, raw, outcome) FROM judged_tags WHERE outcome IS NULL ORDER BY number;

INSERT INTO rejects
SELECT 'tags', line, outcome, raw FROM judged_tags WHERE outcome != 'duplicate' ORDER BY number;

INSERT INTO accounting BY NAME
SELECT
    'tags' AS source,
    count(*) AS lines_read,
    0 AS header,
    count(*) FILTER (outcome IS NULL) AS kept,
    count(*) FILTER (outcome = 'duplicate') AS duplicates,
    count(*) FILTER (outcome != 'duplicate') AS rejected,
    0 AS blank
FROM judged_tags;
