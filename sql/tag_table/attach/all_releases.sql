-- The tables of all attached releases as one, with the release's key as the last column.
-- Reads: variable keys, in release order. Gives one CREATE VIEW statement a row: a view cannot read a variable's value
-- of now, and must not change with it later. Columns go by name: tables of an older version may lack some.
WITH selects AS (
    SELECT
        kind,
        position,
        format('SELECT *, ''{}'' AS release FROM "{}".{}', key, key, kind) AS text
    FROM unnest(getvariable('keys')) WITH ORDINALITY AS releases(key, position)
    JOIN duckdb_tables() ON database_name = key  -- a table of an older version may not be there
    CROSS JOIN unnest(['files', 'tags', 'raw_tags', 'spellings', 'rejects', 'passed_over', 'accounting']) AS kinds(kind)
    WHERE table_name = kind
)
SELECT format('CREATE VIEW {} AS {}', kind, string_agg(text, ' UNION ALL BY NAME ' ORDER BY position))
FROM selects
GROUP BY kind
ORDER BY kind;
