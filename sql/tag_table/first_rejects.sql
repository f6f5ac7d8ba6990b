-- The first ten lines of one file (variable source: 'files' or 'tags') that could not be used, for an error message.
SELECT line, reason
FROM rejects
WHERE source = getvariable('source')
ORDER BY line
LIMIT 10;
