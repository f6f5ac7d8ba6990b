-- What is on another side than before (Arrow tables former and sides), and posts that were left out and are not now.
WITH shown AS (
    SELECT DISTINCT picture, split FROM sides WHERE left_out IS NULL
), shown_before AS (
    SELECT DISTINCT picture, split FROM former WHERE left_out IS NULL
)
SELECT 'post' AS kind, booru || ' ' || fid AS name
FROM sides
JOIN former USING (booru, fid)
WHERE sides.split <> former.split
UNION ALL
SELECT 'returned', booru || ' ' || fid
FROM sides
JOIN former USING (booru, fid)
WHERE former.left_out IS NOT NULL AND sides.left_out IS NULL
UNION ALL
SELECT 'picture', picture
FROM shown
WHERE picture IN (SELECT picture FROM shown_before)
GROUP BY picture
HAVING bool_or((picture, split) NOT IN (SELECT (picture, split) FROM shown_before))
ORDER BY kind, name;
