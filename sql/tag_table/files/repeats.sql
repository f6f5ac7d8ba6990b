-- Rows of files whose key an earlier row has. One with the same values is a duplicate; any other is in conflict with the
-- first, since nothing says which of the two is right.
-- Reads: relation suspects (row BIGINT, number BIGINT), the rows whose keys have the same hash as another's: they are few.
SELECT
    row, number,
    CASE
        WHEN content = first_value(content) OVER same_key THEN 'duplicate'
        ELSE 'conflicting_duplicate'
    END AS outcome
FROM (
    SELECT rowid AS row, booru, fid, row(*COLUMNS(* EXCLUDE (number, booru, fid))) AS content
    FROM files
    WHERE rowid IN (SELECT row FROM suspects)
)
JOIN suspects USING (row)
WINDOW same_key AS (PARTITION BY booru, fid ORDER BY number)
QUALIFY row_number() OVER same_key > 1;
