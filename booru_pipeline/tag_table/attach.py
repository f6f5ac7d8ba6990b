"""All releases' tag tables in one connection."""

import duckdb

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake import Lake


def attach_all(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[str]:
    """Attach every release read-only under its key, and make the views `files` and `tags` over all of them.

    Returns:
        Keys of the releases, in release order.

    Raises:
        BooruError: No release is loaded.
    """
    keys = lake.releases_with(lake.tag_table)
    if not keys:
        raise BooruError(f"no release is loaded in {lake.home} yet. Load them with `booru run --to tag_table`.")
    for key in keys:
        path = str(lake.tag_table(key)).replace("'", "''")  # ATTACH takes no parameter
        connection.execute(f"ATTACH '{path}' AS \"{key}\" (READ_ONLY)")
    sql.run(
        connection,
        "views",
        "all_releases",
        files=[f'"{key}".files' for key in keys],
        tags=[f'"{key}".tags' for key in keys],
    )
    return keys
