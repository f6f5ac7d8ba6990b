-- One side of the split (variable split), in an order that is already shuffled.
SELECT booru, fid, release, group_md5, input_ids
FROM captions
WHERE split = getvariable('split')
ORDER BY md5(booru || ' ' || fid), booru, fid;
