-- How many posts each general label has, the commonest first.
-- Variables: min_posts (31, as the origin chose): labels of fewer posts are left out.
-- Upper and lower case count as one, as in the origin. A post that is listed again counts once.
SELECT lower(tag) AS label, count(*) AS posts
FROM tags_latest
WHERE tag_cat = 0
GROUP BY label
HAVING posts >= coalesce(getvariable('min_posts'), 31)
ORDER BY posts DESC, label;
