"""The origin's layout: two files of tab-separated values, a line a picture and a line a tag of a picture.

The author's merged sets, `BC_posts.tsv` and `BC_tags.tsv`, have the same columns, some under other names, and not all.
"""

from functools import partial
from typing import Final

from booru_pipeline.release.find import Release
from booru_pipeline.release.header import read_header
from booru_pipeline.tag_table.lines import line_batches, line_blocks
from booru_pipeline.tag_table.raw_rows import RawRelease, RawRows

FILES_COLUMNS: Final = [
    *["booru", "fid", "file_name", "torr_md5", "orig_ext", "orig_md5", "file_size", "img_size_torr", "jq", "torr_path"],
    *["tags_copyr", "tags_char", "tags_artist"],
]
TAGS_COLUMNS: Final = ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"]
# Of a merged set: what a row cannot be without.
_MERGED_FILES: Final = ["booru", "fid"]
_MERGED_TAGS: Final = ["booru", "fid", "tag"]


def read(release: Release) -> RawRelease:
    """The lines of both files, plain or compressed.

    Raises:
        BooruError: A file is empty, lacks a column, or cannot be read to its end.
    """
    files, tags = (
        RawRows(columns, partial(line_batches, path), headers=1, blocks=partial(line_blocks, path))
        for path, columns in zip((release.files, release.tags), read_headers(release), strict=True)
    )
    return RawRelease(files, tags)


def read_headers(release: Release) -> tuple[list[str], list[str]]:
    """Names of the columns of both files.

    Raises:
        BooruError: See `read_header`.
    """
    is_merged = release.files.name.lower().startswith("bc_")
    files, tags = (_MERGED_FILES, _MERGED_TAGS) if is_merged else (FILES_COLUMNS, TAGS_COLUMNS)
    return read_header(release.files, files), read_header(release.tags, tags)
