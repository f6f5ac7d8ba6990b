-- Rows of files, of those from variable start on, that are no good as they are.
SELECT rowid AS row FROM files WHERE rowid >= getvariable('start') AND number = -1 ORDER BY row;
