-- The tables of all attached releases as one, with the release's key as the last column.
-- Reads: variable keys, in release order. Gives one CREATE VIEW statement a row: a view cannot read a variable's value
-- of now, and must not change with it later. Columns go by name: tables of an older version may lack some.
WITH selects AS (
    SELECT
        kind,
        position,
        format('SELECT *, ''{}'' AS release FROM "{}".{}', key, key, kind) AS text
    FROM unnest(getvariable('keys')) WITH ORDINALITY AS releases(key, position)
    CROSS JOIN unnest(['files', 'tags', 'rejects', 'accounting']) AS kinds(kind)
)
SELECT format('CREATE VIEW {} AS {}', kind, string_agg(text, ' UNION ALL BY NAME ' ORDER BY position))
FROM selects
GROUP BY kind
ORDER BY kind;
