-- Which rows are in files, of those with this number or a higher one. Reads: variable start.
SELECT number FROM files WHERE number >= getvariable('start');
