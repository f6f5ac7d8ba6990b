-- The group and the side that earlier sides (Arrow table earlier) have for each post of the release in hand.
SELECT group_md5, split, left_out, hash(group_md5) AS group_token
FROM rows
JOIN earlier USING (booru, fid)
ORDER BY row;
