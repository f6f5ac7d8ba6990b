-- Each settled post as it was listed last, with its side.
SELECT
    booru, fid, release, picture, group_md5,
    getvariable('sides')[side] AS split,
    left_out
FROM settled
JOIN groups USING (grp)
JOIN listed USING (post)
WHERE is_last
ORDER BY booru, fid;
