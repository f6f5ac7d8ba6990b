-- DuckDB: rows for SQLite's files, in the order of its key, so that its index grows at one end.
SELECT
    booru, fid, shard, file_name, torr_md5, orig_ext, orig_md5, file_size, img_width_torr, img_height_torr, jq,
    torr_path, tags_copyr, tags_char, tags_artist
FROM files_latest
ORDER BY booru, fid;
