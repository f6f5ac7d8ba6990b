-- The rows of `lines` that are good and whose names are known to be canonical. Only a booru that is not in files may have
-- to be respelled: those in files are canonical.
INSERT INTO tags BY NAME
SELECT * EXCLUDE (fields, reason, is_plain, raw_tag, raw_cat)
FROM parsed_tags
SEMI JOIN files USING (booru, fid)
WHERE reason IS NULL AND is_plain;
