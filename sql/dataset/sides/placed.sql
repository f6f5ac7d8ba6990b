-- The group and the side of each post of the release in hand. hash() as in rows.sql.
SELECT
    group_md5,
    getvariable('sides')[groups.side] AS split,
    left_out,
    hash(group_md5) AS group_token
FROM listing
JOIN settled USING (post)
JOIN groups USING (grp)
ORDER BY listing.row;
