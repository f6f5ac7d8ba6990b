-- parsed_files -> files, rejects, accounting. Of lines with one key the first is kept; a line equal to it is a
-- duplicate, and one that differs is rejected, since nothing says which of the two is right.

CREATE OR REPLACE TEMP TABLE set_aside_files AS
WITH repeated AS (
    SELECT booru, fid, min(line) AS first_line
    FROM parsed_files
    WHERE reason IS NULL
    GROUP BY booru, fid
    HAVING count(*) > 1
)
SELECT later.line, if(later.raw = first.raw, 'duplicate', 'conflicting_duplicate') AS reason, later.raw
FROM repeated
JOIN parsed_files AS first ON first.line = repeated.first_line
JOIN parsed_files AS later
    ON later.booru = repeated.booru AND later.fid = repeated.fid
    AND later.reason IS NULL AND later.line > repeated.first_line
UNION ALL
SELECT line, reason, raw FROM parsed_files WHERE reason IS NOT NULL;

INSERT INTO files
SELECT * EXCLUDE (line, raw, reason)
FROM parsed_files
ANTI JOIN set_aside_files USING (line);

INSERT INTO rejects
SELECT 'files', line, reason, raw
FROM set_aside_files
WHERE reason NOT IN ('blank', 'duplicate')
ORDER BY line;

INSERT INTO accounting
SELECT
    'files',
    (SELECT count(*) + 1 FROM parsed_files),  -- the header was not parsed
    1,
    (SELECT count(*) FROM files),
    count(*) FILTER (reason = 'duplicate'),
    count(*) FILTER (reason NOT IN ('blank', 'duplicate')),
    count(*) FILTER (reason = 'blank')
FROM set_aside_files;
