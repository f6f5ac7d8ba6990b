-- Rows of settled posts as they were listed last, if a post of the release in hand has the same block. Posts that the
-- release lists again are told by what it says.
SELECT row
FROM listed
WHERE
    is_last
    AND block IN (SELECT block FROM listing)
    AND post NOT IN (SELECT post FROM listing WHERE NOT is_new)
ORDER BY row;
