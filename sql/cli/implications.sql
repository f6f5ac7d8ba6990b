-- Implications that the posts propose, in the order in which they were found: the likeliest first.
-- Reads: variables audit (implications.parquet), every (also pairs of two categories, which Danbooru does not take).
SELECT
    antecedent,
    consequent,
    together,
    posts,
    round(share::DOUBLE, 4) AS share,
    round(low::DOUBLE, 4) AS at_least,
    round(lift::DOUBLE, 2) AS lift,
    both_ways,
    antecedent_category,
    consequent_category,
    array_to_string(counter_examples, ' ') AS counter_examples
FROM read_parquet(getvariable('audit'), file_row_number = true)
WHERE may_be_asked OR getvariable('every')
ORDER BY file_row_number;
