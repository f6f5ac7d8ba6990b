-- Lines of a bulk update request: implications and aliases to propose, the likeliest first. Of two tags that imply each
-- other, the rarer one implies the other. A consequent that is frequent anyway says little, and is left out.
-- Reads: variables implications and aliases (Parquet files of an audit).
WITH proposed AS (
    SELECT antecedent, consequent, posts, both_ways, file_row_number AS place
    FROM read_parquet(getvariable('implications'), file_row_number = true)
    WHERE may_be_asked AND lift >= 2
), one_way AS (
    FROM proposed
    WHERE NOT both_ways
        OR (posts, antecedent) < ALL (
            SELECT (other.posts, other.antecedent)
            FROM proposed AS other
            WHERE other.antecedent = proposed.consequent AND other.consequent = proposed.antecedent
        )
)
SELECT line FROM (
    SELECT 1 AS kind, place, format('imply {} -> {}', antecedent, consequent) AS line FROM one_way
    UNION ALL
    SELECT 2, file_row_number, format('alias {} -> {}', alias, tag)
    FROM read_parquet(getvariable('aliases'), file_row_number = true)
)
ORDER BY kind, place;
