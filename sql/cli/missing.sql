-- Tags that posts of a release lack, those that are implied first, then the most probable.
-- Reads: variables audit (missing.parquet), tag, booru and fid (all if null), min_probability, core (core tags alone),
-- implied (false: without those that are implied). `evidence` is `because` with its numbers; `page` is the post's.
SELECT
    booru,
    fid,
    tag,
    round(probability::DOUBLE, 4) AS probability,
    list_transform(
        because, lambda one: coalesce(format('{} {:,} of {:,}', one.tag, one.together, one.posts), one.tag)
    ).array_to_string('; ') AS because,
    category,
    implied,
    core_of,
    post_page(booru, fid) AS page,
    because AS evidence
FROM read_parquet(getvariable('audit')) AS audit
WHERE tag = coalesce(getvariable('tag')::VARCHAR, tag)
    AND booru = coalesce(getvariable('booru')::VARCHAR, booru)
    AND fid = coalesce(getvariable('fid')::BIGINT, fid)
    AND (implied OR probability >= getvariable('min_probability'))
    AND (core_of IS NOT NULL OR NOT getvariable('core'))
    AND (NOT implied OR getvariable('implied'))
ORDER BY audit.probability DESC, tag, booru, fid;
