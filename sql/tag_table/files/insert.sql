-- The rows of `lines` that are good and whose names are known to be canonical.
INSERT INTO files BY NAME
SELECT * EXCLUDE (fields, reason, is_plain)
FROM parsed_files
WHERE reason IS NULL AND is_plain;
