-- The release in hand (Arrow table rows), each row with its post: a settled one, or a new one.
CREATE OR REPLACE TABLE listing AS
SELECT
    rows.row, rows.booru, rows.fid, rows.picture, rows.side, rows.block, rows.signature,
    coalesce(settled.post, rows.row) AS post,
    settled.post IS NULL AS is_new
FROM rows
LEFT JOIN settled USING (booru, fid);
