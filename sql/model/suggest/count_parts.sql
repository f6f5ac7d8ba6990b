-- Which of some tags posts have: each such part, as places in their list from 1, the posts that have it and no more of
-- them, and how many of these posts have all tags of the base. From the parts follow the posts of each tag and of each
-- pair, in one pass over the posts.
-- Reads: the view latest; variables interest, base (lists of tags).

SELECT list_transform(part, lambda tag: list_position(getvariable('interest'), tag)) AS part, posts, posts_of_base
FROM (
    SELECT
        -- Not list_intersect, nor list_has_all: over a million posts these take several times as long.
        list_filter(getvariable('interest'), lambda tag: list_contains(tags, tag)) AS part,
        count(*) AS posts,
        count_if(len(list_filter(getvariable('base'), lambda tag: list_contains(tags, tag))) = len(getvariable('base')))
            AS posts_of_base
    FROM latest
    GROUP BY part
);
