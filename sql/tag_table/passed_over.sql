-- Statements of a script that put nothing into files or tags.
SELECT line, statement FROM passed_over ORDER BY line;
