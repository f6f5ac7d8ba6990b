-- How many posts there are.
-- Reads: the view latest.

SELECT count(*) AS posts FROM latest;
