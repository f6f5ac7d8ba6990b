"""Reading a release, whatever its layout."""

from collections.abc import Callable
from typing import Final

from booru_pipeline.release.find import Release
from booru_pipeline.release.layout import Layout
from booru_pipeline.tag_table.layouts import captions, json_lines, parquet, script, tsv
from booru_pipeline.tag_table.raw_rows import RawRelease

_READ: Final[dict[Layout, Callable[[Release], RawRelease]]] = {
    Layout.TSV: tsv.read,
    Layout.SCRIPT: script.read,
    Layout.JSON_LINES: json_lines.read,
    Layout.PARQUET: parquet.read,
    Layout.CAPTIONS: captions.read,
}


def read_release(release: Release) -> RawRelease:
    """The rows of a release.

    Raises:
        BooruError: A file cannot be read, or is not what its name says. Reading the rows raises it too.
    """
    return _READ[release.layout](release)
