-- Groups that the release in hand has joined to another one, whose name their posts have from now on.
SELECT DISTINCT
    former.group_md5 AS former, hash(former.group_md5) AS former_token,
    survivor.group_md5 AS group_md5, hash(survivor.group_md5) AS group_token
FROM recalled
JOIN settled USING (post)
JOIN groups AS former ON former.grp = recalled.grp
JOIN groups AS survivor ON survivor.grp = settled.grp
WHERE former.grp <> survivor.grp
ORDER BY former;
