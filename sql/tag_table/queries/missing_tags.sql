-- Tags that posts lack, by the audit, with the tags that speak for each: the implied ones, then the most probable.
-- Variables: tag (any): this one alone, however it is spelled;
--            min_probability (0.5): less probable ones are left out, unless another tag of the post implies them;
--            release (all): whose posts.
-- `bunny_suit 93 of 98`: of 98 posts with bunny_suit, 93 have the tag that this one lacks.
SELECT
    release,
    booru,
    fid,
    tag,
    round(probability, 3) AS probability,
    implied,
    array_to_string([coalesce(format('{} {} of {}', one.tag, one.together, one.posts), one.tag) FOR one IN because], ', ') AS because,
    post_page(booru, fid) AS page
FROM audit
WHERE finding = 'missing'
    AND (implied OR audit.probability >= coalesce(getvariable('min_probability'), 0.5))
    AND tag = coalesce((SELECT tag_name(getvariable('tag')::VARCHAR)), tag)
    AND release = coalesce(getvariable('release')::VARCHAR, release)
ORDER BY implied DESC, audit.probability DESC, booru, fid, tag;
