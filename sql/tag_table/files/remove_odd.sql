-- Rows that are looked at again as text. Reads: relation odd (row BIGINT).
DELETE FROM files WHERE rowid IN (SELECT row FROM odd);
