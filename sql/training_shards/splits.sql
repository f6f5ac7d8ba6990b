-- Posts, pictures and tags by split.
SELECT split, count(*) AS posts, count(DISTINCT group_md5) AS pictures, sum(len(tags))::BIGINT AS tags
FROM posts
GROUP BY split
ORDER BY posts DESC, split;
