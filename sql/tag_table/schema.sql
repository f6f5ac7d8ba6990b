-- The origin's tables (booru-chars), so that its queries still run here, and what we add: rejects and accounting.
-- Keys are (booru, fid) and (booru, fid, tag). They hold by construction and are checked on every load: a DuckDB
-- index for them would triple the file and the time.

CREATE TABLE files (
    booru VARCHAR NOT NULL,
    fid BIGINT NOT NULL,
    shard VARCHAR NOT NULL,  -- the release that the row came from, such as 'Safebooru 2021a'
    file_name VARCHAR NOT NULL,
    torr_md5 VARCHAR,
    orig_ext VARCHAR,
    orig_md5 VARCHAR,
    file_size BIGINT,
    img_width_torr INTEGER,
    img_height_torr INTEGER,
    jq VARCHAR,
    torr_path VARCHAR,
    tags_copyr VARCHAR,
    tags_char VARCHAR,
    tags_artist VARCHAR,
    -- Ours; null where the layout has them not.
    rating VARCHAR,  -- g, s, q or e, as Danbooru has them: general, sensitive, questionable, explicit
    score INTEGER,
    source VARCHAR  -- where the picture was first published, as people wrote it
);

CREATE TABLE tags (
    booru VARCHAR NOT NULL,
    fid BIGINT NOT NULL,
    tag VARCHAR NOT NULL,
    tag_id BIGINT,
    tag_cat TINYINT,  -- 0 general, 1 artist, 3 copyright, 4 character, 5 meta, -1 uncatalogued
    danb_fr VARCHAR  -- null where the dump has a placeholder, such as GENERAL
);

-- Rows of the dump whose tag or category is another one there. Two spellings of one tag of a post are one row of tags
-- and both here.
CREATE TABLE raw_tags (
    booru VARCHAR NOT NULL,
    fid BIGINT NOT NULL,
    tag VARCHAR NOT NULL,  -- as in tags
    raw_tag VARCHAR NOT NULL,  -- as it is written in the dump
    raw_cat TINYINT  -- its number there
);

-- Each name that is written otherwise in the dump.
CREATE TABLE spellings (
    source VARCHAR NOT NULL,  -- 'files' or 'tags'
    kind VARCHAR NOT NULL,  -- 'booru', 'tag', 'category' or 'danb_fr'
    raw VARCHAR NOT NULL,
    name VARCHAR,  -- as it is here; null where it is a placeholder for nothing
    rules VARCHAR[] NOT NULL,  -- that changed it, in order
    row_count BIGINT NOT NULL  -- rows that have it so
);

-- Statements of a hand-tagged release that put nothing into files or tags.
CREATE TABLE passed_over (
    line BIGINT NOT NULL,
    statement VARCHAR NOT NULL
);

-- Lines that could not be used, as they were.
CREATE TABLE rejects (
    source VARCHAR NOT NULL,  -- 'files' or 'tags'
    line BIGINT NOT NULL,  -- counted from 1, the header being line 1
    reason VARCHAR NOT NULL,
    raw BLOB NOT NULL  -- without its line end
);

-- lines_read = header + kept + duplicates + merged + rejected + blank, for each source.
CREATE TABLE accounting (
    source VARCHAR NOT NULL,
    lines_read BIGINT NOT NULL,
    header BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,  -- lines that repeat an earlier one's row exactly
    merged BIGINT NOT NULL,  -- lines that repeat an earlier one's key in another spelling
    rejected BIGINT NOT NULL,
    blank BIGINT NOT NULL
);
