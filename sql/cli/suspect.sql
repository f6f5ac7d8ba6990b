-- Tags of posts of a release that the others speak against, the oddest first.
-- Reads: variables audit (suspect.parquet), tag, booru and fid (all if null), max_ratio. `because` has for each tag the
-- posts that have both, and how many would by chance; `evidence` has the numbers; `page` is the post's.
SELECT
    booru,
    fid,
    tag,
    round(probability::DOUBLE, 6) AS probability,
    list_transform(
        because, lambda one: format('{} {:,} where {:,.0f} by chance', one.tag, one.together, one.expected)
    ).array_to_string('; ') AS because,
    category,
    round(rate::DOUBLE, 6) AS rate,
    round(ratio::DOUBLE, 4) AS ratio,
    post_page(booru, fid) AS page,
    because AS evidence
FROM read_parquet(getvariable('audit')) AS audit
WHERE tag = coalesce(getvariable('tag')::VARCHAR, tag)
    AND booru = coalesce(getvariable('booru')::VARCHAR, booru)
    AND fid = coalesce(getvariable('fid')::BIGINT, fid)
    AND audit.ratio <= getvariable('max_ratio')
ORDER BY audit.ratio, tag, booru, fid;
