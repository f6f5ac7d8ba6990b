-- SQLite: where one row of a script stands while it is read. BLOB columns keep a value as it was written.
-- All columns that the origin's scripts have used; img_size_torr is `WxH`, width and height are later names.

CREATE TABLE files (
    booru BLOB, fid BLOB, shard BLOB, file_name BLOB, torr_md5 BLOB, orig_ext BLOB, orig_md5 BLOB, file_size BLOB,
    img_size_torr BLOB, img_width_torr BLOB, img_height_torr BLOB, width BLOB, height BLOB, jq BLOB, torr_path BLOB,
    tags_copyr BLOB, tags_char BLOB, tags_artist BLOB
);

CREATE TABLE tags (booru BLOB, fid BLOB, tag BLOB, tag_id BLOB, tag_cat BLOB, danb_fr BLOB);
