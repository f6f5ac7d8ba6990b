-- Posts that the release in hand lists first, as an earlier dataset's sides (Arrow table earlier) have them.
INSERT INTO settled
SELECT post, booru, fid, grp, left_out
FROM listing
JOIN earlier USING (booru, fid)
JOIN groups USING (group_md5)
WHERE is_new;
