-- The lines of a file of tags that DuckDB's reader can cut into fields: all of them, in their order, so that each is known
-- by its row. Those with number -1 are no good as they are, see odd.sql. Reads: variable text, the file; variable header,
-- its columns as a struct of names and types.
-- There is no quoting: a double quote is an ordinary character. `parse.sql` says what the fields are.
INSERT INTO tags BY NAME
SELECT
    coalesce(booru, '') AS booru,  -- in the last column force_not_null does not hold
    coalesce(try_cast(fid AS BIGINT), 0) AS fid,
    coalesce(tag, '') AS tag,
    try_cast(tag_id AS BIGINT) AS tag_id,
    tag_cat,
    if(is_placeholder(danb_fr), NULL, danb_fr) AS danb_fr,
    if(
        is_plain_number(fid) AND (tag_id IS NULL OR is_plain_number(tag_id))
        AND (tag_cat = 0 OR tag_cat = category_of(tag_cat, booru, danb_fr) OR tag_cat_text IS NULL),
        NULL, -1
    ) AS number
FROM (
    SELECT
        booru, fid, tag, tag_id, danb_fr, tag_cat AS tag_cat_text,
        CASE tag_cat
            WHEN '0' THEN 0 WHEN '4' THEN 4 WHEN '3' THEN 3 WHEN '1' THEN 1 WHEN '5' THEN 5 WHEN '-1' THEN -1
        END::TINYINT AS tag_cat
    FROM (
        SELECT * FROM read_csv(
            'booru-lines://text', auto_detect = false, columns = getvariable('columns'), header = false,
            delim = '\t', new_line = '\n', quote = '', escape = '', nullstr = '',
            force_not_null = ['booru', 'fid', 'tag'],
            max_line_size = 2097152, buffer_size = 33554432, ignore_errors = true, store_rejects = true
        )
        UNION ALL BY NAME
        -- what a file may lack
        SELECT NULL::VARCHAR AS tag_id, NULL::VARCHAR AS tag_cat, NULL::VARCHAR AS danb_fr WHERE false
    )
);
