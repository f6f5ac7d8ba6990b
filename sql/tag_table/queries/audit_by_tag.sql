-- Which tags the audit finds missing or suspect, those of most findings first.
-- Variables: min_probability (0.5): less probable missing tags do not count, unless they are implied;
--            release (all): whose posts.
-- `posts` are those that have the tag, in the newest of these releases and all before it.
WITH found AS (
    FROM audit
    WHERE (finding = 'suspect' OR implied OR probability >= coalesce(getvariable('min_probability'), 0.5))
        AND release = coalesce(getvariable('release')::VARCHAR, release)
), counted AS (
    SELECT label AS tag, max_by(labels.posts, position) AS posts
    FROM labels JOIN releases USING (release)
    WHERE release = coalesce(getvariable('release')::VARCHAR, release)
    GROUP BY label
)
SELECT
    tag,
    any_value(category) AS category,
    count(*) FILTER (finding = 'missing') AS missing,
    count(*) FILTER (implied) AS implied,
    count(*) FILTER (finding = 'suspect') AS suspect,
    any_value(counted.posts) AS posts
FROM found LEFT JOIN counted USING (tag)
GROUP BY tag
ORDER BY count(*) DESC, tag;
