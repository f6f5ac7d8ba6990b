-- How many posts have how many of some labels: one row a number.
-- Reads: the view latest; variable labels (list of strings).

SELECT size, count(*) AS posts
FROM (
    SELECT count(*) AS size
    FROM (SELECT post, unnest(tags) AS tag FROM (SELECT row_number() OVER () AS post, tags FROM latest))
    SEMI JOIN (SELECT unnest(getvariable('labels')) AS tag) USING (tag)
    GROUP BY post
)
GROUP BY size
ORDER BY size;
