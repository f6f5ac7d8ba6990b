-- Hashes of the keys of files, shortened: rows whose hashes differ are no repeats. Reads: variables parts and part, since all
-- hashes at once may be too many.
SELECT (key_hash >> 32)::UINTEGER AS key_hash
FROM (SELECT hash(booru, fid) AS key_hash FROM files)
WHERE key_hash % getvariable('parts') = getvariable('part');
