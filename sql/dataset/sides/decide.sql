-- A side for each new post, and who is left out from now on.
-- Reads: Arrow table components (row, component), tables listing, links, listed, settled, groups, variable sides.

-- Components with a settled post. Open ones take posts in: one side, and nobody linked to who is left out.
CREATE OR REPLACE TABLE facts AS
SELECT
    component,
    bool_and(left_out IS NULL) AND count(DISTINCT side) = 1 AS is_open,
    min(group_md5) AS group_md5,
    count(DISTINCT group_md5) AS groups,
    max(side) FILTER (left_out IS NULL) AS strictest,
    CASE
        WHEN count(DISTINCT side) FILTER (left_out IS NULL) > 1 THEN 'between ' || array_to_string(list_transform(
            list_sort(list(DISTINCT side) FILTER (left_out IS NULL)), lambda side: getvariable('sides')[side]
        ), ' and ')
        ELSE 'like a post that is left out'
    END AS reason
FROM links
JOIN components USING (row)
JOIN settled USING (post)
JOIN groups USING (grp)
GROUP BY component;

-- Groups of an open component become one, the one with the smallest name.
UPDATE settled
SET grp = merged.new
FROM (
    SELECT DISTINCT former.grp AS former, survivor.grp AS new
    FROM facts
    JOIN components USING (component)
    JOIN links USING (row)
    JOIN settled AS member USING (post)
    JOIN groups AS former ON former.grp = member.grp
    JOIN groups AS survivor ON survivor.group_md5 = facts.group_md5
    WHERE is_open AND facts.groups > 1 AND former.grp <> survivor.grp
) AS merged
WHERE settled.grp = merged.former;

-- New posts with their group: their component's, or that of their picture if the component takes nobody in.
CREATE OR REPLACE TABLE joining AS
WITH fresh AS (
    SELECT component, min(picture) AS picture
    FROM listing
    JOIN components USING (row)
    WHERE component NOT IN (SELECT component FROM facts)
    GROUP BY component
), owners AS (
    SELECT picture, arg_min(group_md5, (-side, group_md5)) AS group_md5
    FROM listed
    JOIN settled USING (post)
    JOIN groups USING (grp)
    WHERE picture IN (SELECT picture FROM listing JOIN components USING (row) JOIN facts USING (component))
    GROUP BY picture
)
SELECT
    post, booru, fid,
    CASE
        WHEN is_open THEN facts.group_md5
        ELSE coalesce(fresh.picture, owners.group_md5, listing.picture)
    END AS group_md5,
    CASE WHEN NOT is_open THEN reason END AS left_out
FROM listing
JOIN components USING (row)
LEFT JOIN facts USING (component)
LEFT JOIN fresh USING (component)
LEFT JOIN owners ON owners.picture = listing.picture
WHERE is_new;

-- A post that is listed again and changed is taken in no more than a new one. One that did not change joins nothing: what
-- it is like was judged when that or itself was first listed so.
UPDATE settled
SET left_out = verdicts.reason
FROM (
    SELECT
        post,
        CASE
            WHEN groups.side < strictest THEN 'joined a ' || getvariable('sides')[strictest] || ' group'
            ELSE reason
        END AS reason
    FROM listing
    JOIN listed AS former USING (post)
    JOIN settled USING (post)
    JOIN groups USING (grp)
    JOIN components ON components.row = listing.row
    JOIN facts USING (component)
    WHERE
        NOT is_open
        AND left_out IS NULL
        AND former.is_last
        AND (listing.picture, listing.signature) <> (former.picture, former.signature)
) AS verdicts
WHERE settled.post = verdicts.post;

INSERT INTO groups
SELECT (SELECT count(*) FROM groups) + row_number() OVER () - 1, picture, max(side)
FROM listing
WHERE picture IN (SELECT group_md5 FROM joining ANTI JOIN groups USING (group_md5))
GROUP BY picture;

INSERT INTO settled
SELECT post, booru, fid, grp, left_out FROM joining JOIN groups USING (group_md5);
