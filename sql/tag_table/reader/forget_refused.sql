-- What the reader noted is read.
DROP TABLE reject_errors;
DROP TABLE reject_scans;
