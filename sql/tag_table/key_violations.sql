-- Keys that stand twice, and tags of posts that are not there: all three must be 0.
SELECT
    (SELECT count(*) - count(DISTINCT (booru, fid)) FROM files) AS repeated_files,
    (SELECT count(*) - count(DISTINCT (booru, fid, tag)) FROM tags) AS repeated_tags,
    (SELECT count(*) FROM tags ANTI JOIN files USING (booru, fid)) AS tags_without_file;
