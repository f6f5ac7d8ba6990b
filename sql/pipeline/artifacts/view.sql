-- The statement that makes a view of one file of each release, as one table with the release's key as the first column.
-- Reads: variables view_name, view_columns (their names), view_types (of these), view_files: a struct a release, with
--        its key `release`, the Parquet file's `path`, the `columns` that it has, and the `problem` with it, or ''. One
--        without a path has no rows.
-- A column that a file of an older version lacks is null. What cannot be read says so when its rows are asked for.
-- A view takes no parameter, so names, keys and paths are quoted here.
WITH columns AS (
    SELECT name, type, position, '"' || replace(name, '"', '""') || '"' AS quoted
    FROM (
        SELECT
            unnest(getvariable('view_columns')) AS name,
            unnest(getvariable('view_types')) AS type,
            generate_subscripts(getvariable('view_columns'), 1) AS position
    )
), files AS (
    SELECT position, file FROM unnest(getvariable('view_files')) WITH ORDINALITY AS files(file, position)
), selects AS (
    SELECT
        files.position,
        format(
            'SELECT ''{}''::VARCHAR AS release, {} FROM {}',
            replace(file.release, '''', ''''''),
            string_agg(
                if(list_contains(file.columns, name), quoted, 'NULL') || '::' || type || ' AS ' || quoted,
                ', ' ORDER BY columns.position
            ),
            CASE
                WHEN file.problem <> '' THEN
                    format('(SELECT error(''{}'') AS no) WHERE no IS NULL', replace(file.problem, '''', ''''''))
                WHEN file.path = '' THEN '(SELECT 0) WHERE false'
                ELSE format('read_parquet(''{}'', hive_partitioning = false)', replace(file.path, '''', ''''''))
            END
        ) AS text
    FROM files CROSS JOIN columns
    GROUP BY files.position, file
)
SELECT format(
    'CREATE OR REPLACE VIEW _artifacts."{}" AS {}',
    getvariable('view_name'),
    string_agg(text, ' UNION ALL ' ORDER BY position)
)
FROM selects;
