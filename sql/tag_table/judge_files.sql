-- Each line's reason not to be used, or null, and a hash of its key: lines whose hashes differ are no repeats.
SELECT line, reason, hash(booru, fid) AS key_hash FROM parsed_files;
