-- Why posts belong together, as edges between rows, and between rows (0, 1, ...) and groups (-1, -2, ...).
-- Reads: Arrow table alike (near-duplicates: rows a and b), tables listing, listed, settled.

-- Settled posts that a row is linked to: its own post, near-duplicates, and for the first row of each picture those that
-- ever showed it.
CREATE OR REPLACE TABLE links AS
SELECT row, post FROM listing WHERE NOT is_new
UNION
SELECT first.row, listed.post
FROM (SELECT min(row) AS row, picture FROM listing GROUP BY picture) AS first
JOIN listed USING (picture)
UNION
SELECT listed.row, listed.post
FROM (SELECT a AS row FROM alike UNION SELECT b FROM alike)
JOIN listed USING (row);

-- A post that is left out ties nothing to its group: who is alike to it is not alike to the others.
SELECT row::BIGINT AS a, -1 - grp::BIGINT AS b FROM links JOIN settled USING (post) WHERE left_out IS NULL
UNION
SELECT row, min(row) OVER (PARTITION BY picture) FROM listing
UNION
SELECT a, b FROM alike;
