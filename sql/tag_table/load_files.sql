-- parsed_files -> files, rejects, accounting.
-- Reads: relation `lines`, in which the lines to be kept are wanted; relation `set_aside` (line BIGINT, reason VARCHAR;
-- fields, raw as in `lines`), all others but the header.

INSERT INTO files
SELECT * EXCLUDE (line, fields, reason)
FROM parsed_files;

INSERT INTO rejects
SELECT 'files', line, reason, coalesce(raw, encode(array_to_string(fields, chr(9))))
FROM set_aside
WHERE reason NOT IN ('blank', 'duplicate')
ORDER BY line;

INSERT INTO accounting
SELECT
    'files',
    (SELECT count(*) FROM lines),
    1,
    (SELECT count(*) FROM files),
    count(*) FILTER (reason = 'duplicate'),
    count(*) FILTER (reason NOT IN ('blank', 'duplicate')),
    count(*) FILTER (reason = 'blank')
FROM set_aside;
