-- Lines whose key an earlier line has, among the usable ones in relation `lines`. A line equal to the first one with its
-- key is a duplicate. One that differs is in conflict with it, since nothing says which of the two is right.
SELECT line, if(fields = first_value(fields) OVER same_key, 'duplicate', 'conflicting_duplicate') AS reason
FROM parsed_files
WINDOW same_key AS (PARTITION BY booru, fid ORDER BY line)
QUALIFY row_number() OVER same_key > 1;
