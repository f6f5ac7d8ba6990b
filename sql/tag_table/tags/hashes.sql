-- Hashes of the keys of tags, shortened: rows whose hashes differ are no repeats. Reads: variables parts and part, since all
-- hashes at once may be too many.
SELECT (key_hash >> 32)::UINTEGER AS key_hash
FROM (SELECT hash(booru, fid, tag) AS key_hash FROM tags)
WHERE key_hash % getvariable('parts') = getvariable('part');
