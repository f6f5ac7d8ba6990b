-- The direct implications, of variables view_first and view_second: the antecedents, and the consequent of each.
INSERT INTO _artifacts.implications SELECT unnest(getvariable('view_first')), unnest(getvariable('view_second'));
