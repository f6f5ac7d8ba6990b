-- What has posts in use on several sides (Arrow table sides): groups, pictures and posts, which must all be none.
WITH used AS (
    SELECT * FROM sides WHERE left_out IS NULL
)
SELECT 'group' AS kind, group_md5 AS name FROM used GROUP BY group_md5 HAVING count(DISTINCT split) > 1
UNION ALL
SELECT 'picture', picture FROM used GROUP BY picture HAVING count(DISTINCT split) > 1
UNION ALL
SELECT 'post', booru || ' ' || fid FROM used GROUP BY booru, fid HAVING count(DISTINCT split) > 1
ORDER BY kind, name;
