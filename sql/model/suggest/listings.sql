-- The tags of all posts, for counting in memory: a row a post and tag, both as numbers from 0.
-- Reads: the view latest, the table names.

SELECT listed.post, names.row AS tag
FROM (
    SELECT post, unnest(tags) AS tag
    FROM (SELECT (row_number() OVER () - 1)::INTEGER AS post, tags FROM latest)
) AS listed
INNER JOIN names USING (tag);
