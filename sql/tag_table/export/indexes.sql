-- SQLite: the origin's indexes.
create index idx_file_name on files (file_name);
create index idx_tag on tags (tag);
create index idx_tag_cat on tags (tag_cat);
