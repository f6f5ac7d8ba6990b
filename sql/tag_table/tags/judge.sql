-- The rows of `lines`, which are in tags for no reason but these: a tag of a post that is not there is no good.
SELECT number, coalesce(reason, 'no_such_file') AS reason FROM parsed_tags ORDER BY number;
