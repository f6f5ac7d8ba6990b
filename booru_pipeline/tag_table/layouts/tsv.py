"""The origin's layout: two files of tab-separated values, a line a picture and a line a tag of a picture.

The author's merged sets, `BC_posts.tsv` and `BC_tags.tsv`, have the same columns under other names.
"""

from functools import partial
from typing import Final

from booru_pipeline.release.find import Release
from booru_pipeline.release.header import read_header
from booru_pipeline.tag_table.lines import line_batches
from booru_pipeline.tag_table.raw_rows import RawRelease, RawRows

FILES_COLUMNS: Final = [
    *["booru", "fid", "file_name", "torr_md5", "orig_ext", "orig_md5", "file_size", "img_size_torr", "jq", "torr_path"],
    *["tags_copyr", "tags_char", "tags_artist"],
]
TAGS_COLUMNS: Final = ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"]


def read(release: Release) -> RawRelease:
    """The lines of both files, plain or compressed.

    Raises:
        BooruError: A file is empty, lacks a column, or cannot be read to its end.
    """
    files, tags = (
        RawRows(read_header(path, columns), partial(line_batches, path), headers=1)
        for path, columns in ((release.files, FILES_COLUMNS), (release.tags, TAGS_COLUMNS))
    )
    return RawRelease(files, tags)
