-- Each line's reason not to be used, or null, and a hash of its key: lines whose hashes differ are no repeats.
-- After files is loaded, since a tag of a post that is not there is no good.
SELECT
    line,
    coalesce(reason, if(files.fid IS NULL, 'no_such_file', NULL)) AS reason,
    hash(parsed_tags.booru, parsed_tags.fid, tag) AS key_hash
FROM parsed_tags
LEFT JOIN files ON files.booru = parsed_tags.booru AND files.fid = parsed_tags.fid;
