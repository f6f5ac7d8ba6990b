-- The aliases, of variables view_first and view_second: the aliases, and the tag that each stands for.
INSERT INTO _artifacts.aliases SELECT unnest(getvariable('view_first')), unnest(getvariable('view_second'));
