-- The ten aliases that most rows of the tag table have.
-- Reads: table renamed.

SELECT alias, tag, count(*) AS "rows"
FROM renamed
GROUP BY alias, tag
ORDER BY count(*) DESC, alias
LIMIT 10;
