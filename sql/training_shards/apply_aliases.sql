-- The rows of the tag table whose tag is an alias, and the canonical rows that take their place.
-- Reads: view taken_tags; relation aliases (alias, tag).
-- renamed -> every such row; canonical -> those that its post does not have yet, one a post and tag.

CREATE OR REPLACE TEMP TABLE renamed AS
SELECT booru, fid, aliases.alias, aliases.tag, coalesce(tag_cat, -1) AS category
FROM taken_tags
JOIN aliases ON taken_tags.tag = aliases.alias;

CREATE OR REPLACE TEMP TABLE canonical AS
WITH present AS (
    SELECT booru, fid, tag, coalesce(tag_cat, -1) AS category
    FROM taken_tags
    SEMI JOIN renamed USING (tag)
), usual AS (
    -- the category that most posts give, the lower on a tie, as in the vocabulary
    SELECT tag, arg_max(category, (posts, -category)) AS category
    FROM (SELECT tag, category, count(*) AS posts FROM present GROUP BY tag, category)
    GROUP BY tag
), missing AS (
    SELECT booru, fid, tag, arg_min(category, alias) AS category
    FROM renamed
    ANTI JOIN present USING (booru, fid, tag)
    GROUP BY booru, fid, tag
)
SELECT booru, fid, tag, coalesce(usual.category, missing.category) AS category
FROM missing
LEFT JOIN usual USING (tag);
