-- Hashes of the keys of files: rows whose hashes differ are no repeats. Reads: variables parts and part, since all hashes at
-- once may be too many.
SELECT number, key_hash
FROM (SELECT number, hash(booru, fid) AS key_hash FROM files)
WHERE key_hash % getvariable('parts') = getvariable('part');
