-- How many lines could not be used, by file and reason.
SELECT source, reason, count(*) AS lines
FROM rejects
GROUP BY source, reason
ORDER BY lines DESC, source, reason;
