-- Two names of what seems one thing, the likeliest first.
-- Reads: variable audit (aliases.parquet).
SELECT alias, tag, category, alias_posts, tag_posts, together, round(likeness::DOUBLE, 3) AS likeness, array_to_string(examples, ' ') AS examples
FROM read_parquet(getvariable('audit'), file_row_number = true)
ORDER BY file_row_number;
