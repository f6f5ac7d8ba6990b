-- Rows of files whose key an earlier row has. One with the same values is a duplicate; any other is in conflict with the
-- first, since nothing says which of the two is right.
-- Reads: relation suspects (number BIGINT), the rows whose keys have the same hash as another's: they are few.
SELECT
    number,
    CASE
        WHEN content = first_value(content) OVER same_key THEN 'duplicate'
        ELSE 'conflicting_duplicate'
    END AS outcome
FROM (
    SELECT number, booru, fid, row(*COLUMNS(* EXCLUDE (number, booru, fid))) AS content
    FROM files
    SEMI JOIN suspects USING (number)
)
WINDOW same_key AS (PARTITION BY booru, fid ORDER BY number)
QUALIFY row_number() OVER same_key > 1;
