-- Pictures that stand on more than one side, over the Parquet files that variable shards lists: must be 0.
SELECT count(*)
FROM (
    SELECT group_md5
    FROM read_parquet(getvariable('shards'))
    GROUP BY group_md5
    HAVING count(DISTINCT split) > 1
);
