-- Names in `lines`, with the number of rows that have them. Reads: variable kind, booru or tag.
SELECT raw, count(*) AS row_count
FROM (SELECT field(fields, getvariable('kind')) AS raw FROM lines)
WHERE raw IS NOT NULL
GROUP BY raw;
