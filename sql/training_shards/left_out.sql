-- Posts and tags that options leave out, and posts whose picture is not known.
SELECT
    (SELECT count(*) FROM left_out) AS posts,
    (SELECT count(*) FROM source.tags SEMI JOIN left_out USING (booru, fid)) AS tags,
    (SELECT count(*) FROM posts WHERE without_picture) AS without_picture;
