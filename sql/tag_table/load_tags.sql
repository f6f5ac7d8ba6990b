-- parsed_tags -> tags, rejects, accounting, after files is loaded. A tag of a post that is not in files is rejected;
-- lines with one key are treated as in load_files.sql.

CREATE OR REPLACE TEMP TABLE set_aside_tags AS
WITH orphans AS (
    SELECT line, raw FROM parsed_tags ANTI JOIN files USING (booru, fid) WHERE reason IS NULL
), repeated AS (
    SELECT booru, fid, tag, min(line) AS first_line
    FROM parsed_tags
    WHERE reason IS NULL
    GROUP BY booru, fid, tag
    HAVING count(*) > 1
), later AS (
    SELECT later.line, later.raw, later.raw = first.raw AS same
    FROM repeated
    JOIN parsed_tags AS first ON first.line = repeated.first_line
    JOIN parsed_tags AS later
        ON later.booru = repeated.booru AND later.fid = repeated.fid AND later.tag = repeated.tag
        AND later.reason IS NULL AND later.line > repeated.first_line
)
SELECT line, if(same, 'duplicate', 'conflicting_duplicate') AS reason, raw FROM later ANTI JOIN orphans USING (line)
UNION ALL
SELECT line, 'no_such_file', raw FROM orphans
UNION ALL
SELECT line, reason, raw FROM parsed_tags WHERE reason IS NOT NULL;

INSERT INTO tags
SELECT * EXCLUDE (line, raw, reason)
FROM parsed_tags
ANTI JOIN set_aside_tags USING (line);

INSERT INTO rejects
SELECT 'tags', line, reason, raw
FROM set_aside_tags
WHERE reason NOT IN ('blank', 'duplicate')
ORDER BY line;

INSERT INTO accounting
SELECT
    'tags',
    (SELECT count(*) + 1 FROM parsed_tags),
    1,
    (SELECT count(*) FROM tags),
    count(*) FILTER (reason = 'duplicate'),
    count(*) FILTER (reason NOT IN ('blank', 'duplicate')),
    count(*) FILTER (reason = 'blank')
FROM set_aside_tags;
