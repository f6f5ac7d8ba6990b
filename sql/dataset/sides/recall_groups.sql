-- The groups of an earlier dataset's sides (Arrow table earlier).
INSERT INTO groups
SELECT row_number() OVER (ORDER BY group_md5) - 1, group_md5, any_value(list_position(getvariable('sides'), split))
FROM earlier
GROUP BY group_md5;
