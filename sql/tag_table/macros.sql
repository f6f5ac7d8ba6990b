-- What the parse statements have in common.

-- A number as almost all are written, which is cheap to tell: digits, perhaps a minus sign, in 64 bits.
CREATE OR REPLACE TEMP MACRO is_plain_number(text) AS try_cast(text AS BIGINT)::VARCHAR = text;

-- The same of a width or height, which may be missing.
CREATE OR REPLACE TEMP MACRO is_plain_size(text) AS 
    text IS NULL OR (try_cast(text AS INTEGER) >= 0 AND try_cast(text AS INTEGER)::VARCHAR = text);

-- Any number: there may be spaces around it and zeros before it. A cast alone would also take 1.5, 1e3, 1_000 and 0x1F.
CREATE OR REPLACE TEMP MACRO is_number(text) AS
    try_cast(text AS BIGINT) IS NOT NULL AND regexp_full_match(text, ' *-?[0-9]+ *');

CREATE OR REPLACE TEMP MACRO is_number_or_empty(text) AS
    regexp_full_match(coalesce(text, ''), ' *') OR is_number(text);

-- The field under a column's name; null where the file has no such column.
CREATE OR REPLACE TEMP MACRO field(fields, name) AS fields[list_position(getvariable('header'), name)];

-- What stands in DANB_FR where a tag belongs to no copyright: the name of its category on some booru. A tag is no such
-- name, since it has no capitals.
CREATE OR REPLACE TEMP MACRO is_placeholder(danb_fr) AS CASE
    WHEN danb_fr = 'GENERAL' THEN true  -- most
    ELSE danb_fr IN (
        'ARTIST', 'COPYRIGHT', 'CHARACTER', 'META', 'UNCATALOGUED', 'UNKNOWN', 'NONE', 'NULL',
        'SPECIES', 'LORE', 'CONTRIBUTOR', 'INVALID',  -- e621
        'STUDIO', 'MEDIUM', 'GENRE', 'IDOL',  -- Sankaku
        'CIRCLE', 'FAULTS', 'STYLE',  -- yande.re, konachan
        'METADATA', 'DEPRECATED', 'TAG'  -- Gelbooru
    )
END;

-- Danbooru's number of a category that other boorus count on from: 2 and 8 mean something else on each of them, and 5 is
-- species on e621 and genre on Sankaku, where META says that it is meta all the same.
CREATE OR REPLACE TEMP MACRO category_of(number, booru, danb_fr) AS CASE
    WHEN number BETWEEN -1 AND 1 THEN number  -- most
    WHEN number BETWEEN -1 AND 4 AND number != 2 THEN number
    WHEN number = 5 AND danb_fr IN ('SPECIES', 'GENRE') THEN -1
    WHEN number = 5 AND booru IN ('e621.net', 'e926.net') AND danb_fr IS DISTINCT FROM 'META' THEN -1
    WHEN number = 5 THEN 5
    WHEN number = 7 AND booru IN ('e621.net', 'e926.net') THEN 5  -- meta, there
    WHEN number IS NOT NULL THEN -1
END::TINYINT;

-- Danbooru's letter of a rating, which other boorus spell out. Before 2022 s was safe, which is general by and large;
-- nothing tells old posts from new ones, so s stays s.
CREATE OR REPLACE TEMP MACRO rating_of(text) AS CASE lower(trim(text))
    WHEN '' THEN NULL
    WHEN 'general' THEN 'g' WHEN 'safe' THEN 's' WHEN 'sensitive' THEN 's'
    WHEN 'questionable' THEN 'q' WHEN 'explicit' THEN 'e'
    ELSE lower(trim(text))
END;
