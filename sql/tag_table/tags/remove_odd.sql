-- Rows that are looked at again as text. Reads: relation odd (row BIGINT).
DELETE FROM tags WHERE rowid IN (SELECT row FROM odd);
