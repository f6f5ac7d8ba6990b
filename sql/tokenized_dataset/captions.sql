-- Posts as captions of token ids, over the shards of this and all earlier releases.
-- Reads: relation `vocabulary` (label, token_id); variables shards, releases (keys in release order), min_labels.
-- A post that is listed again in a later release stands once, as it is there.

CREATE OR REPLACE TEMP TABLE captions AS
WITH latest AS (
    SELECT booru, fid, release, split, group_md5, tags
    FROM read_parquet(getvariable('shards'))
    QUALIFY row_number() OVER (
        PARTITION BY booru, fid ORDER BY list_position(getvariable('releases'), release) DESC
    ) = 1
), occurrences AS (
    SELECT booru, fid, release, split, group_md5, unnest(tags) AS label
    FROM latest
)
SELECT booru, fid, release, split, group_md5, list(token_id ORDER BY token_id) AS input_ids
FROM occurrences
JOIN vocabulary USING (label)
GROUP BY booru, fid, release, split, group_md5
HAVING count(*) >= getvariable('min_labels');
