-- Tag rows that were renamed, and those of them that fell together with another row of their post.
-- Reads: tables renamed, canonical.

SELECT (SELECT count(*) FROM renamed) AS aliased, (SELECT count(*) FROM renamed) - count(*) AS merged
FROM canonical;
