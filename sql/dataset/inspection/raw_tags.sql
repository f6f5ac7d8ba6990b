-- The tags of a post as its tag table has them, aliases included, and as its dump writes each (the tag table is attached as
-- `source`). Reads: variables booru, fid.
SELECT tag, coalesce(raw_tag, tag) AS written
FROM (FROM source.tags WHERE booru = getvariable('booru') AND fid = getvariable('fid'))
LEFT JOIN source.raw_tags USING (booru, fid, tag)
ORDER BY tag, written;
