-- Rows that cannot be used, as they are written. Reads: relation unusable (line BIGINT; fields VARCHAR[]; raw BLOB, null
-- where the fields say it; reason VARCHAR); variable source, 'files' or 'tags'.
INSERT INTO rejects
SELECT getvariable('source'), line, reason, coalesce(raw, encode(array_to_string(fields, chr(9))))
FROM unusable;
