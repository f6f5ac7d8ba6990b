-- Of the rows of `lines` that are in tags, those that the dump has otherwise.
INSERT INTO raw_tags BY NAME
SELECT booru, fid, tag, raw_tag, if(raw_cat IS DISTINCT FROM parsed_tags.tag_cat, raw_cat, NULL) AS raw_cat, number
FROM parsed_tags
SEMI JOIN tags USING (number)
WHERE tag != raw_tag OR raw_cat IS DISTINCT FROM parsed_tags.tag_cat;
