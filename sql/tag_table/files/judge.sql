-- The rows of `lines`, which are in files for no reason but these.
SELECT number, reason FROM parsed_files ORDER BY number;
