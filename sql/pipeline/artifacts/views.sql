-- What people query besides the tag tables: views of the tables in the schema `_artifacts`, which have all columns, and
-- no rows before a query asks for them (see `view` and `fill`). No release is called so: keys do not begin with `_`.
CREATE TABLE _artifacts.aliases (alias VARCHAR, tag VARCHAR);
CREATE TABLE _artifacts.implications (antecedent VARCHAR, consequent VARCHAR);

CREATE VIEW aliases AS FROM _artifacts.aliases;
CREATE VIEW implications AS FROM _artifacts.implications;

CREATE VIEW labels AS
SELECT
    release,
    label,
    CASE category
        WHEN 0 THEN 'general' WHEN 1 THEN 'artist' WHEN 3 THEN 'copyright' WHEN 4 THEN 'character' WHEN 5 THEN 'meta'
        WHEN -1 THEN 'uncatalogued' ELSE 'unknown'
    END AS category,
    posts,
    train_posts
FROM _artifacts.labels;

CREATE VIEW predictions AS FROM _artifacts.predictions;

CREATE VIEW audit AS
SELECT release, 'missing' AS finding, * EXCLUDE (release) FROM _artifacts.missing
UNION ALL BY NAME
SELECT release, 'suspect' AS finding, * EXCLUDE (release) FROM _artifacts.suspect;

CREATE VIEW proposed_implications AS FROM _artifacts.implications_found;
CREATE VIEW proposed_aliases AS FROM _artifacts.aliases_found;
CREATE VIEW not_kept_implications AS FROM _artifacts.not_kept;
CREATE VIEW exclusions AS FROM _artifacts.exclusions;
CREATE VIEW core_tags AS FROM _artifacts.core_tags;
