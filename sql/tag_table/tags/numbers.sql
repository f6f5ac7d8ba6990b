-- Which rows are in tags, of those with this number or a higher one. Reads: variable start.
SELECT number FROM tags WHERE number >= getvariable('start');
