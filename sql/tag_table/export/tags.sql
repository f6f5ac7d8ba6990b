-- DuckDB: rows for SQLite's tags, in the order of its key, so that its index grows at one end.
SELECT booru, fid, tag, tag_id, tag_cat, danb_fr
FROM tags_latest
ORDER BY booru, fid, tag;
