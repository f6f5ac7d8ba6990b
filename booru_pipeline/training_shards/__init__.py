"""Tag tables to training shards: one row a post, on a side of the split that it never leaves."""
