-- What became of the lines of each file.
SELECT source, lines_read, header, kept, duplicates, merged, rejected, blank
FROM accounting
ORDER BY source;
