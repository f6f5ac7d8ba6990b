-- What is known of the posts settled so far. A side is its place in variable sides: 1 train, 2 validation, 3 test; of two
-- the higher is the stricter. A row is a post's place in all shards, in reading order; a post is numbered by its first.
CREATE TABLE groups (grp INTEGER, group_md5 VARCHAR, side TINYINT);
CREATE TABLE settled (post INTEGER, booru VARCHAR, fid BIGINT, grp INTEGER, left_out VARCHAR);
CREATE TABLE listed (
    post INTEGER, row INTEGER, release VARCHAR, picture VARCHAR, block UBIGINT, signature UBIGINT, is_last BOOLEAN
);
