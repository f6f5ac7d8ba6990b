-- The canonical name of each row of `lines`, in their order, where it is written otherwise, else null.
-- Reads: relation names (raw, name); variable kind, booru or tag.
SELECT name
FROM (SELECT number, field(fields, getvariable('kind')) AS raw FROM lines)
LEFT JOIN names USING (raw)
ORDER BY number;
