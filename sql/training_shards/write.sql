-- posts -> Parquet files in the folder that variable folder names.
-- Ordered by a hash of the post, so that reading in order is already shuffled.
COPY (
    SELECT * FROM posts ORDER BY md5(booru || ' ' || fid), booru, fid
) TO (getvariable('folder')) (
    FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192, ROW_GROUPS_PER_FILE 8, FILENAME_PATTERN 'posts-{i}'
);
