-- A few rows of tags, for a person to look at.
SELECT * FROM tags ORDER BY booru, fid, tag LIMIT 8;
