-- What a number is, for both parse statements: digits, perhaps a minus sign, perhaps spaces around it, in 64 bits.
-- A cast alone would also take 1.5, 1e3, 1_000 and 0x1F. The first branch is true of almost all numbers, and cheap.

CREATE OR REPLACE TEMP MACRO is_number(text) AS CASE
    WHEN try_cast(text AS BIGINT)::VARCHAR = text THEN true
    ELSE try_cast(text AS BIGINT) IS NOT NULL AND regexp_full_match(text, ' *-?[0-9]+ *')
END;

CREATE OR REPLACE TEMP MACRO is_number_or_empty(text) AS CASE
    WHEN try_cast(text AS BIGINT)::VARCHAR = text THEN true
    WHEN regexp_full_match(coalesce(text, ''), ' *') THEN true
    ELSE is_number(text)
END;
