-- A row of the dump that stands there twice is once in raw_tags too.
CREATE OR REPLACE TABLE raw_tags AS
SELECT * EXCLUDE (number)
FROM raw_tags
QUALIFY row_number() OVER (PARTITION BY booru, fid, tag, raw_tag, raw_cat ORDER BY number) = 1
ORDER BY number;
ALTER TABLE raw_tags ADD COLUMN number BIGINT;
