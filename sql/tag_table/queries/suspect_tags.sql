-- Tags that posts have and their other tags speak against, by the audit, the oddest first.
-- Variables: tag (any): this one alone, however it is spelled;
--            max_ratio (0.1): a tag that the others make less odd is left out;
--            release (all): whose posts.
-- `bunny_suit 2 of 98`: of 98 posts with bunny_suit, 2 have the tag in question.
SELECT
    release,
    booru,
    fid,
    tag,
    probability,
    rate,
    round(ratio, 4) AS ratio,
    array_to_string([format('{} {} of {}', one.tag, one.together, one.posts) FOR one IN because], ', ') AS because,
    post_page(booru, fid) AS page
FROM audit
WHERE finding = 'suspect'
    AND audit.ratio <= coalesce(getvariable('max_ratio'), 0.1)
    AND tag = coalesce((SELECT tag_name(getvariable('tag')::VARCHAR)), tag)
    AND release = coalesce(getvariable('release')::VARCHAR, release)
ORDER BY audit.ratio, booru, fid, tag;
