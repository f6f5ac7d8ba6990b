-- Known implications that the posts do not keep, the worst first.
-- Reads: variable audit (not_kept.parquet).
SELECT
    antecedent,
    consequent,
    together,
    posts,
    round(share::DOUBLE, 4) AS share,
    round(high::DOUBLE, 4) AS at_most,
    array_to_string(counter_examples, ' ') AS counter_examples
FROM read_parquet(getvariable('audit'), file_row_number = true)
ORDER BY file_row_number;
