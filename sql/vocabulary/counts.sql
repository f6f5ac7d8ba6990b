-- counted, in the same order each time.
FROM counted ORDER BY tag, category;
