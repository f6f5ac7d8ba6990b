-- Tags that seem to be two names of one thing, by the newest audit, the likeliest first.
-- Variables: min_posts (5): of the rarer name.
SELECT
    alias,
    tag,
    category,
    alias_posts,
    tag_posts,
    together,
    round(likeness, 3) AS likeness,
    examples
FROM proposed_aliases
WHERE release = (SELECT max_by(release, position) FROM proposed_aliases JOIN releases USING (release))
    AND alias_posts >= coalesce(getvariable('min_posts'), 5)
ORDER BY proposed_aliases.likeness DESC, alias, tag;
