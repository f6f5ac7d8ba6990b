-- Near-duplicates on two sides, without MinHash: every pair of posts in use is found.
-- Reads: table posts (post, booru, fid, tokens, side, block), variables jaccard, min_tags, largest_block.
CREATE OR REPLACE TABLE blocks AS
SELECT block, count(*) AS posts, count(*) > getvariable('largest_block') AS is_skipped
FROM posts
WHERE len(tokens) >= getvariable('min_tags')
GROUP BY block
HAVING count(DISTINCT side) > 1;

-- A near-duplicate has nearly all tags of the other, so it has one of any few more than it may lack: the rarest ones.
-- Taken from the post on the stricter side, of which there are fewer.
CREATE OR REPLACE TABLE rarest AS
WITH strict AS (
    SELECT post, block, side, len(tokens) AS size, unnest(tokens) AS token
    FROM posts
    JOIN blocks USING (block)
    WHERE side > 1 AND NOT is_skipped AND len(tokens) >= getvariable('min_tags')
), counted AS (
    SELECT *, count(*) OVER (PARTITION BY block, token) AS posts FROM strict
)
SELECT post, block, side, token
FROM counted
QUALIFY row_number() OVER (PARTITION BY post ORDER BY posts, token)
    <= size - ceil(getvariable('jaccard') * size - 1e-9) + 1;

WITH tokens AS (
    SELECT post, block, side, unnest(tokens) AS token
    FROM posts
    WHERE block IN (SELECT block FROM rarest) AND len(tokens) >= getvariable('min_tags')
), candidates AS (
    SELECT DISTINCT rarest.post AS one, tokens.post AS other
    FROM rarest
    JOIN tokens ON tokens.block = rarest.block AND tokens.token = rarest.token AND tokens.side < rarest.side
), compared AS (
    SELECT
        one.booru || ' ' || one.fid AS one, other.booru || ' ' || other.fid AS other,
        len(list_intersect(one.tokens, other.tokens)) AS common,
        len(one.tokens) + len(other.tokens) AS total
    FROM candidates
    JOIN posts AS one ON one.post = candidates.one
    JOIN posts AS other ON other.post = candidates.other
)
SELECT one, other FROM compared WHERE common / (total - common) >= getvariable('jaccard') ORDER BY one, other;
