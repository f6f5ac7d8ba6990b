-- How many of the posts that have all tags of the base have each tag: one row a tag.
-- Reads: the view latest; variable base (list of tags).

SELECT tag, count(*) AS posts
FROM (
    SELECT unnest(tags) AS tag
    FROM latest
    WHERE len(list_filter(getvariable('base'), lambda tag: list_contains(tags, tag))) = len(getvariable('base'))
)
GROUP BY tag;
