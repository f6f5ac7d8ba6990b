-- posts -> the Parquet file that variable file names.
-- Ordered by a hash of the post, so that reading in order is already shuffled. One file: writing several, DuckDB deals
-- row groups out as its threads come by, and the same posts would not give the same bytes.
COPY (
    SELECT * EXCLUDE (without_picture) FROM posts ORDER BY md5(booru || ' ' || fid), booru, fid
) TO (getvariable('file')) (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192, PRESERVE_ORDER true);
