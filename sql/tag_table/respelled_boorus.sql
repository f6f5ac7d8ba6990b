-- The canonical name of each booru in `lines`, in their order, where it is written otherwise, else null.
-- Reads: relation names (raw, name).
SELECT name
FROM (SELECT number, field(fields, 'booru') AS raw FROM lines)
LEFT JOIN names USING (raw)
ORDER BY number;
