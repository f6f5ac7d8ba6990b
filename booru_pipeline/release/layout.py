"""The layouts that releases come in."""

from enum import StrEnum


class Layout(StrEnum):
    """How a release is written down; `docs/dumps.md` says where files of each come from."""

    TSV = "tsv"
    SCRIPT = "script"
    JSON_LINES = "json_lines"
    PARQUET = "parquet"
    CAPTIONS = "captions"
