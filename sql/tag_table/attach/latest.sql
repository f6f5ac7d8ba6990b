-- Posts as their latest listing has them: a post (booru, fid) that is listed again in a later release is superseded
-- there, with all its tags. Reads: views files and tags; variable keys, in release order.

CREATE TEMP TABLE releases AS
SELECT key AS release, position FROM unnest(getvariable('keys')) WITH ORDINALITY AS keys(key, position);

-- Few posts are listed twice, so this is small: the views only take these listings away.
CREATE TEMP VIEW superseded AS
WITH listings AS (
    SELECT booru, fid, position FROM files JOIN releases USING (release)
), repeated AS (
    SELECT booru, fid, max(position) AS latest FROM listings GROUP BY booru, fid HAVING count(*) > 1
)
SELECT booru, fid, release
FROM repeated
JOIN releases ON releases.position < repeated.latest;

CREATE VIEW files_latest AS FROM files ANTI JOIN superseded USING (booru, fid, release);
CREATE VIEW tags_latest AS FROM tags ANTI JOIN superseded USING (booru, fid, release);
