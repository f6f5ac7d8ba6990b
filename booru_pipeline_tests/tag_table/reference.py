"""The tag table's rules in slow, obvious Python, to compare the SQL with."""

import re
from collections import Counter
from dataclasses import dataclass, field

from booru_pipeline.release.names import canonical_booru, canonical_tag

PLACEHOLDERS = {"GENERAL", "ARTIST", "COPYRIGHT", "CHARACTER", "META", "SPECIES"}
LIMITS = {"fid": 63, "file_size": 63, "tag_id": 63, "tag_cat": 7}


@dataclass
class Reference:
    files: dict[tuple[str, int], dict[str, str | None]] = field(default_factory=dict)
    tags: dict[tuple[str, int, str], dict[str, str | None]] = field(default_factory=dict)
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    accounting: dict[str, Counter[str]] = field(default_factory=lambda: {"files": Counter(), "tags": Counter()})


def load(files: bytes, tags: bytes) -> Reference:
    table = Reference()
    _load(table, "files", files, table.files)
    _load(table, "tags", tags, table.tags)
    return table


def lines_of(content: bytes) -> list[bytes]:
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def _load(table, source, content, kept):
    lines = lines_of(content)
    header = [name.strip().lower() for name in lines[0].decode().split("\t")]
    count = table.accounting[source]
    count.update(lines_read=len(lines), header=1)
    first = {}
    for raw in lines[1:]:
        outcome, key, row = _line(source, raw, header, table)
        if outcome == "kept" and key in first:
            outcome = _repeat(row, first[key])
        if outcome in ("kept", "duplicates", "merged", "blank"):
            count[outcome] += 1
        else:
            count["rejected"] += 1
            table.rejects[source, outcome] += 1
        if outcome == "kept":
            first[key] = row
            kept[key] = row


def _repeat(row, first):
    if row.get("raw_tag") != first.get("raw_tag"):
        return "merged"
    return "duplicates" if _values(row) == _values(first) else "conflicting_duplicate"


def _values(row):
    """The row's values: numbers however they are written, and a missing one like an empty one."""
    values = {name: text for name, text in row.items() if text}
    for name in LIMITS.keys() & values.keys():
        text = values.pop(name)
        if text.strip(" "):
            values[name] = int(text)
    size = re.fullmatch(r"\s*(\d{1,9})\s*x\s*(\d{1,9})\s*", values.pop("img_size_torr", ""))
    values["size"] = size and tuple(map(int, size.groups()))
    if values.get("danb_fr") in PLACEHOLDERS:
        del values["danb_fr"]
    return values


def _line(source, raw, header, table):
    if not raw:
        return "blank", None, None
    try:
        fields = raw.decode("utf-8").split("\t")
    except UnicodeDecodeError:
        return "not_utf8", None, None
    if len(fields) < len(header) - 1:
        return "short_line", None, None
    if len(fields) > len(header):
        return "long_line", None, None
    row = dict(zip(header, fields, strict=False))
    row["booru"] = canonical_booru(row.get("booru", ""))
    if "tag" in row:
        row["raw_tag"] = row["tag"]
        row["tag"] = canonical_tag(row["tag"])
    if not row.get("booru"):
        return "empty_booru", None, None
    if source == "tags" and not row.get("tag") and row.get("danb_fr") in PLACEHOLDERS and row["tag_id"] in ("", "0"):
        return "blank", None, None
    if source == "tags" and not row.get("tag"):
        return "empty_tag", None, None
    if not _is_number(row.get("fid", ""), "fid"):
        return "bad_number", None, None
    for name in ("file_size", "tag_id", "tag_cat"):
        if name in row and row[name].strip(" ") and not _is_number(row[name], name):
            return "bad_number", None, None
    key = (row["booru"], int(row["fid"]))
    if source == "files":
        return "kept", key, row
    return ("kept", (*key, row["tag"]), row) if key in table.files else ("no_such_file", None, None)


def _is_number(text, name):
    text = text.strip(" ")
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and -(2 ** LIMITS[name]) <= int(text) < 2 ** LIMITS[name]
