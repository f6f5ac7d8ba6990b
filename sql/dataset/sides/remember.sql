-- The listings of the release in hand, which variable release names.
UPDATE listed SET is_last = false WHERE is_last AND post IN (SELECT post FROM listing WHERE NOT is_new);

INSERT INTO listed
SELECT post, row, getvariable('release'), picture, block, signature, true FROM listing;
