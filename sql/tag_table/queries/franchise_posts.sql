-- Posts of chosen franchises, and which of these each belongs to.
-- Variables: franchises ('hololive'): a copyright's label, or a list such as ["hololive", "touhou"].
-- A post belongs to a franchise if it has the copyright's label. Listed as its latest release has it.
WITH chosen AS (
    SELECT unnest(coalesce(
        try_cast(given AS VARCHAR[]),
        if(given IS NULL, ['hololive'], [given])
    )) AS franchise
    FROM (SELECT getvariable('franchises')::VARCHAR AS given)
)
SELECT booru, fid, list(franchise ORDER BY franchise) AS franchises, any_value(file_name) AS file_name, release
FROM tags_latest
JOIN chosen ON lower(tag) = lower(franchise)
JOIN files_latest USING (booru, fid, release)
WHERE tag_cat = 3
GROUP BY booru, fid, release
ORDER BY booru, fid;
