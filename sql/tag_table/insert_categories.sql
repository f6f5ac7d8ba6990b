-- Numbers of categories that are other ones here, as rows of spellings.
INSERT INTO spellings
SELECT 'tags', 'category', raw_cat::VARCHAR, any_value(tags.tag_cat)::VARCHAR, ['category'], count(*)
FROM raw_tags
JOIN tags USING (booru, fid, tag)
WHERE raw_cat IS NOT NULL
GROUP BY raw_cat
ORDER BY raw_cat;
