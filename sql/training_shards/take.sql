-- The tag table (attached as `source`) without the posts that options leave out.
-- Reads: variables ratings (all if empty), min_score (none if null).

CREATE OR REPLACE TEMP TABLE left_out AS
SELECT booru, fid
FROM source.files
WHERE
    (len(getvariable('ratings')) > 0 AND NOT list_contains(getvariable('ratings'), coalesce(rating, 'unrated')))
    OR coalesce(score < getvariable('min_score'), false);

CREATE OR REPLACE TEMP VIEW taken_files AS FROM source.files ANTI JOIN left_out USING (booru, fid);
CREATE OR REPLACE TEMP VIEW taken_tags AS FROM source.tags ANTI JOIN left_out USING (booru, fid);
