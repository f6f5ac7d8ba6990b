-- Names of boorus in `lines`, with the number of rows that have them.
SELECT raw, count(*) AS row_count
FROM (SELECT field(fields, 'booru') AS raw FROM lines)
WHERE raw IS NOT NULL
GROUP BY raw;
