-- The tags of a post as its raw release has them, aliases included (the tag table is attached as `source`).
-- Reads: variables booru, fid.
SELECT tag
FROM source.tags
WHERE booru = getvariable('booru') AND fid = getvariable('fid')
ORDER BY tag;
