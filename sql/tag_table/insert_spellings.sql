-- Names that are written otherwise in the dump. Reads: relation changed (source, kind, raw, name, rules, row_count).
INSERT INTO spellings BY NAME
SELECT * FROM changed ORDER BY source, kind, row_count DESC, raw;
