-- Rows of tags whose key an earlier row has. One that is written like the first with the key, with the same values, is a
-- duplicate; one whose tag is written otherwise is merged into the first; any other is in conflict with it, since nothing
-- says which of the two is right. Reads: relation suspects, as in files/repeats.sql.
SELECT
    row, number,
    CASE
        WHEN raw_tag != first_value(raw_tag) OVER same_key THEN 'merged'
        WHEN content = first_value(content) OVER same_key THEN 'duplicate'
        ELSE 'conflicting_duplicate'
    END AS outcome
FROM (
    SELECT
        suspects.row, suspects.number, tags.booru, tags.fid, tags.tag,
        coalesce(raw_tag, tags.tag) AS raw_tag,
        row(tag_id, coalesce(raw_cat, tag_cat), danb_fr) AS content
    FROM tags
    JOIN suspects ON tags.rowid = suspects.row
    LEFT JOIN raw_tags ON raw_tags.number = tags.number
)
WINDOW same_key AS (PARTITION BY booru, fid, tag ORDER BY number)
QUALIFY row_number() OVER same_key > 1;
