-- Hashes of the keys of tags: rows whose hashes differ are no repeats. Reads: variables parts and part, since all hashes at
-- once may be too many.
SELECT number, key_hash
FROM (SELECT number, hash(booru, fid, tag) AS key_hash FROM tags)
WHERE key_hash % getvariable('parts') = getvariable('part');
