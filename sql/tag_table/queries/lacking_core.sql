-- Posts that lack core tags of their character, those of most missing tags first.
-- Variables: character (any): this one alone, however it is spelled;
--            release (all): whose posts.
SELECT
    release,
    booru,
    fid,
    core_of AS character,
    list(tag ORDER BY probability DESC, tag) AS lacking,
    post_page(booru, fid) AS page
FROM audit
WHERE core_of = coalesce((SELECT tag_name(getvariable('character')::VARCHAR)), core_of)
    AND release = coalesce(getvariable('release')::VARCHAR, release)
GROUP BY release, booru, fid, core_of
ORDER BY len(lacking) DESC, booru, fid, character;
