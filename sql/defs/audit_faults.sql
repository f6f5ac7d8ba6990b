-- Findings of an audit that cannot be, by what is wrong: a row a fault, each of which should have none.
-- Reads: variables missing and suspect (the Parquet files of these findings), shards (those of the release), labels (that
--        of its vocabulary).
-- Posts pass by a table of findings, which are fewer, and so are none of them kept.
WITH findings AS (
    SELECT booru, fid, tag, false AS is_there FROM read_parquet(getvariable('missing'))
    UNION ALL
    SELECT booru, fid, tag, true AS is_there FROM read_parquet(getvariable('suspect'))
), on_posts AS (
    SELECT count(*) AS findings, count(*) FILTER (list_contains(tags, tag) <> is_there) AS contrary
    FROM read_parquet(getvariable('shards'))
    JOIN findings USING (booru, fid)
)
SELECT 'no post of the release' AS fault, (SELECT count(*) FROM findings) - (SELECT findings FROM on_posts) AS findings
UNION ALL
SELECT 'no label', count(*) FROM findings ANTI JOIN read_parquet(getvariable('labels')) ON label = tag
UNION ALL
SELECT 'missing and on its post, or suspect and not', (SELECT contrary FROM on_posts);
