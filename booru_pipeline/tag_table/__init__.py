"""Raw TSV to the tag table: one DuckDB file a release, every line accounted for."""
