-- How many posts each name has (artist, copyright, character), the commonest first.
-- Variables: min_posts (83, as the origin chose): names of fewer posts are left out;
--            categories ([1, 3, 4]: artist, copyright, character; the origin took all but 0).
-- Upper and lower case count as one, as in the origin. A post that is listed again counts once.
SELECT
    lower(tag) AS label,
    CASE tag_cat WHEN 1 THEN 'artist' WHEN 3 THEN 'copyright' WHEN 4 THEN 'character' ELSE tag_cat::VARCHAR END
        AS category,
    count(*) AS posts
FROM tags_latest
WHERE list_contains(coalesce(getvariable('categories'), [1, 3, 4]), tag_cat)
GROUP BY label, category
HAVING posts >= coalesce(getvariable('min_posts'), 83)
ORDER BY posts DESC, label, category;
