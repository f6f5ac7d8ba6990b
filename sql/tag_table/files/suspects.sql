-- Rows of files whose keys have the same hash as another's: where they stand, and their numbers, null for those that
-- were read as text. Reads: relation alike (key_hash UINTEGER, as hashes.sql has it, in its order).
SELECT rowid AS row, number
FROM (SELECT rowid, number, (hash(booru, fid) >> 32)::UINTEGER AS key_hash FROM files)
SEMI JOIN alike USING (key_hash)
ORDER BY row;
