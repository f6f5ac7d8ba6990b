-- The lines of a file of files that DuckDB's reader can cut into fields: all of them, in their order, so that each is known
-- by its row. Those with number -1 are no good as they are, see odd.sql. Reads: as tags/insert_text.sql, and variable
-- shard, the release's name.
INSERT INTO files BY NAME
SELECT
    coalesce(booru, '') AS booru,  -- in the last column force_not_null does not hold
    coalesce(try_cast(fid AS BIGINT), 0) AS fid,
    coalesce(shard, getvariable('shard')) AS shard,
    coalesce(file_name, '') AS file_name,
    torr_md5, orig_ext,
    lower(orig_md5) AS orig_md5,
    try_cast(file_size AS BIGINT) AS file_size,
    try_cast(coalesce(img_width_torr, width, split_part(img_size_torr, 'x', 1)) AS INTEGER) AS img_width_torr,
    try_cast(coalesce(img_height_torr, height, split_part(img_size_torr, 'x', 2)) AS INTEGER) AS img_height_torr,
    jq, torr_path, tags_copyr, tags_char, tags_artist,
    rating_of(rating) AS rating,
    try_cast(trim(score) AS INTEGER) AS score,
    source,
    if(
        is_plain_number(fid) AND (file_size IS NULL OR is_plain_number(file_size))
        AND (img_size_torr IS NULL OR regexp_full_match(img_size_torr, '\d{1,9}x\d{1,9}'))
        -- where a size may stand in two places, parse.sql chooses
        AND list_has_any(getvariable('header'), ['img_width_torr', 'img_height_torr'])::INTEGER
            + list_has_any(getvariable('header'), ['width', 'height'])::INTEGER
            + list_contains(getvariable('header'), 'img_size_torr')::INTEGER <= 1
        AND is_plain_size(coalesce(img_width_torr, width))
        AND is_plain_size(coalesce(img_height_torr, height))
        AND regexp_full_match(booru, '[!-%''-.0-9;->@\[-~]*[^.]'),
        NULL, -1
    ) AS number
FROM (
    SELECT * FROM read_csv(
        'booru-lines://text', auto_detect = false, columns = getvariable('columns'), header = false,
        delim = '\t', new_line = '\n', quote = '', escape = '', nullstr = '',
        force_not_null = ['booru', 'fid'],
        max_line_size = 2097152, buffer_size = 33554432, ignore_errors = true, store_rejects = true
    )
    UNION ALL BY NAME
    -- what a file may lack
    SELECT
        NULL::VARCHAR AS shard, NULL::VARCHAR AS file_name, NULL::VARCHAR AS torr_md5, NULL::VARCHAR AS orig_ext,
        NULL::VARCHAR AS orig_md5, NULL::VARCHAR AS file_size, NULL::VARCHAR AS img_size_torr,
        NULL::VARCHAR AS img_width_torr, NULL::VARCHAR AS img_height_torr, NULL::VARCHAR AS width,
        NULL::VARCHAR AS height, NULL::VARCHAR AS jq, NULL::VARCHAR AS torr_path, NULL::VARCHAR AS tags_copyr,
        NULL::VARCHAR AS tags_char, NULL::VARCHAR AS tags_artist, NULL::VARCHAR AS rating, NULL::VARCHAR AS score,
        NULL::VARCHAR AS source
    WHERE false
);
