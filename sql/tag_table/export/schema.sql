-- SQLite: the origin's booru-chars.db, without its indexes: they are made when the rows are in.

pragma journal_mode = off;
pragma synchronous = off;

create table files (
  booru text not null,
  fid integer not null,
  shard text not null,
  file_name text not null,
  torr_md5 text,
  orig_ext text,
  orig_md5 text,
  file_size integer,
  img_width_torr integer,
  img_height_torr integer,
  jq text,
  torr_path text,
  tags_copyr text,
  tags_char text,
  tags_artist text,
  primary key (booru, fid)
);

create table tags (
  booru text,
  fid integer,
  tag text,
  tag_id integer,
  tag_cat integer,
  danb_fr text,
  primary key (booru, fid, tag),
  foreign key (booru, fid)
    references files (booru, fid)
    on delete cascade
    on update no action
);
