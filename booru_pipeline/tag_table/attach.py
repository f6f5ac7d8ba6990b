"""All releases' tag tables in one connection."""

from collections.abc import Sequence

import duckdb

from booru_pipeline import sql
from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.lake.lake import Lake
from booru_pipeline.release.key import release_order
from booru_pipeline.release.names import canonical_booru, canonical_tag
from booru_pipeline.release.post_pages import post_page


def attach_all(connection: duckdb.DuckDBPyConnection, lake: Lake, only: Sequence[str] = ()) -> list[str]:
    """Attach releases read-only, each under its key, and make views over all of them.

    The views `files`, `tags`, `raw_tags`, `spellings`, `rejects`, `passed_over` and `accounting` have the tables'
    columns and `release`, the key. In `files_latest` and `tags_latest` a post that is listed again in a later one of
    these releases is there as it is listed last, with the tags of that listing only. The table `releases` has the keys
    with their `position`.

    Returns:
        Keys of the releases, in release order: those of `only`, or of all that are loaded.

    Raises:
        BooruError: No release is loaded, or one that was asked for is not, or a tag table is broken.
    """
    loaded = lake.releases_with(lake.tag_table)
    if not loaded:
        raise BooruError(f"no release is loaded in {lake.home} yet. Load them with `booru run --to tag_table`.")
    keys = sorted({lake.newest(lake.tag_table, key) for key in only}, key=release_order) or loaded
    connection.execute("SET enable_progress_bar = false")  # it goes to standard output, among the rows
    for key in keys:
        path = str(lake.bring(lake.tag_table(key))).replace("'", "''")  # ATTACH takes no parameter
        try:
            connection.execute(f"ATTACH '{path}' AS \"{key}\" (READ_ONLY)")
        except duckdb.Error as error:
            raise BooruError(
                f"{lake.tag_table(key)} cannot be opened: {first_line(error)}. "
                f"Remove it and make it again with `booru run --release {key} --to tag_table`."
            ) from error
    for (view,) in sql.run(connection, "tag_table/attach", "all_releases", keys=keys).fetchall():
        connection.execute(view)
    sql.run(connection, "tag_table/attach", "latest", keys=keys)
    return keys


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Add `tag_name` and `booru_name`, which give a name as it is written here, and `post_page`, a post's address."""
    connection.create_function("tag_name", canonical_tag, ["VARCHAR"], "VARCHAR")
    connection.create_function("booru_name", canonical_booru, ["VARCHAR"], "VARCHAR")
    connection.create_function("post_page", post_page, ["VARCHAR", "BIGINT"], "VARCHAR")
