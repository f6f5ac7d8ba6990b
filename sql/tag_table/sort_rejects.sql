-- Rows that turned out to be in conflict came last.
CREATE OR REPLACE TEMP TABLE sorted AS FROM rejects ORDER BY source, line;
DELETE FROM rejects;
INSERT INTO rejects FROM sorted;
DROP TABLE sorted;
