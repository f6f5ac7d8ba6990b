-- SQLite: where the rows of a script stand while it is read. Types are those of the origin's tables, so that a script
-- compares and joins as it does there; SQLite keeps what is of another type as it was written. There are no keys:
-- repeated rows are told apart and counted later.
-- All columns that the origin's scripts have used; img_size_torr is `WxH`, width and height are later names.

CREATE TABLE files (
    booru TEXT, fid INTEGER, shard TEXT, file_name TEXT, torr_md5 TEXT, orig_ext TEXT, orig_md5 TEXT,
    file_size INTEGER, img_size_torr TEXT, img_width_torr INTEGER, img_height_torr INTEGER, width INTEGER,
    height INTEGER, jq TEXT, torr_path TEXT, tags_copyr TEXT, tags_char TEXT, tags_artist TEXT
);

CREATE TABLE tags (booru TEXT, fid INTEGER, tag TEXT, tag_id INTEGER, tag_cat INTEGER, danb_fr TEXT);

-- Room for the script's tables and its own, in memory: 256 MiB and 128 MiB.
PRAGMA temp_store = MEMORY;
PRAGMA main.max_page_count = 65536;
PRAGMA temp.max_page_count = 32768;
-- REPLACE is to fire the triggers that see rows go.
PRAGMA recursive_triggers = ON;
