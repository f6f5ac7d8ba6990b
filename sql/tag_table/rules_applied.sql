-- What each rule for names changed: names, and the rows that have them.
SELECT source, kind, rule, count(*) AS names, sum(row_count)::BIGINT AS row_count
FROM (SELECT source, kind, row_count, unnest(rules) AS rule FROM spellings)
GROUP BY ALL
ORDER BY source, kind, row_count DESC, rule;
