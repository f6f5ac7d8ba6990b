-- Rows of tags, of those from variable start on, that are no good as they are: a number or category is written otherwise, a
-- name may have to be, or the post is not in files. Names are looked at once each; `parse.sql` says which are plain.
WITH added AS NOT MATERIALIZED (
    SELECT rowid AS row, booru, fid, tag, number FROM tags WHERE rowid >= getvariable('start')
), names AS MATERIALIZED (
    SELECT DISTINCT tag FROM added
), spelled AS MATERIALIZED (
    SELECT tag FROM names WHERE tag = '' OR NOT regexp_full_match(tag, '[!-%''-@\[-~]*')
)
SELECT row FROM added WHERE number = -1 OR tag IN (FROM spelled)
UNION
SELECT row FROM added ANTI JOIN files USING (booru, fid)
ORDER BY row;
