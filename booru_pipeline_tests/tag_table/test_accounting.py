"""What a tag table's figures see."""

import duckdb

from booru_pipeline.tag_table.accounting import key_violations


def test_keys_that_stand_twice_and_tags_of_no_post_are_counted(tmp_path):
    with duckdb.connect(str(tmp_path / "table.duckdb")) as connection:
        connection.execute("CREATE TABLE files AS FROM (VALUES ('a', 1), ('a', 1), ('b', 1)) files (booru, fid)")
        connection.execute(
            "CREATE TABLE tags AS FROM (VALUES ('a', 1, 'x'), ('a', 1, 'x'), ('a', 1, 'x'), ('a', 1, 'y'), "
            "('b', 1, 'x'), ('b', 2, 'x')) tags (booru, fid, tag)"
        )
    found = key_violations(tmp_path / "table.duckdb")
    assert found == {"repeated_files": 1, "repeated_tags": 2, "tags_without_file": 1}
