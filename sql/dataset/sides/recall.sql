-- What is known of the posts that the release in hand may concern (Arrow table former: all their listings, in reading
-- order). A post is numbered by its first row, and is as its last one has it.
-- Reads: variable sides.
CREATE OR REPLACE TABLE listed AS
SELECT
    (min(row) OVER (PARTITION BY booru, fid))::INTEGER AS post,
    row::INTEGER AS row, release, picture, block, signature,
    row = max(row) OVER (PARTITION BY booru, fid) AS is_last
FROM former;

CREATE OR REPLACE TABLE groups AS
SELECT
    (row_number() OVER (ORDER BY group_md5) - 1)::INTEGER AS grp,
    group_md5,
    any_value(list_position(getvariable('sides'), split))::TINYINT AS side
FROM former
SEMI JOIN (FROM listed WHERE is_last) AS last USING (row)
GROUP BY group_md5;

CREATE OR REPLACE TABLE settled AS
SELECT post, booru, fid, grp, left_out
FROM former
JOIN (SELECT post, row FROM listed WHERE is_last) AS last USING (row)
JOIN groups USING (group_md5);

CREATE OR REPLACE TABLE recalled AS SELECT post, grp FROM settled;
