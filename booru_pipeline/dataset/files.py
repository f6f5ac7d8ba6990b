"""The files of a dataset: what a release adds lies in files of its own, and files without a change are shared.

`datasets.load_from_disk` takes a split's rows from the files that its `state.json` names. A dataset that goes on from
an earlier one has that one's files as hard links. Where a post of a file is no longer as it was, the file is written
again without it. Posts with tags that may yet become labels lie apart, so that the files of the others hardly change.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from booru_pipeline.dataset.ledger import among
from booru_pipeline.dataset.settling import SIDES
from booru_pipeline.lake.publish import duplicate

ASIDE: Final = "aside"  # a folder beside the splits: posts that are no caption

_STATE: Final = "state.json"
_BATCH: Final = 1000  # rows, as `datasets` writes them: one is found by its batch
_CAPTIONS: Final = pa.schema(
    [
        ("booru", pa.string()),
        ("fid", pa.int64()),
        ("release", pa.string()),
        ("group_md5", pa.string()),
        ("post_key", pa.int64()),
        ("label_rows", pa.list_(pa.int32())),
        ("length", pa.int32()),
    ]
)
ROWS: Final = pa.schema([*_CAPTIONS, ("split", pa.string()), ("left_out", pa.string())])
"""A post: as a caption is stored, with its side and why it is not used, or null."""

_DESCRIPTION: Final = """Posts of a booru as sets of labels, one row a post. Files are by release, each in random order.

booru, fid: the post. release: the latest that lists it. group_md5: its picture and what is nearly the same, all on one
side of the split. post_key: a hash of booru and fid, which everything random depends on. label_rows: its labels as rows
of the vocabulary's labels.parquet. length: how many they are."""


@dataclass
class _File:
    path: Path
    table: pa.Table
    alive: npt.NDArray[np.bool_]


@dataclass
class PostFiles:
    """Posts by split, or aside: some in the files of an earlier dataset, and new ones.

    Attributes:
        files: Those of the earlier dataset, with the rows that are left of each.
        added: New rows (`ROWS`), each table with whether its posts have tags that may become labels, bool [posts].
    """

    files: dict[str, list[_File]] = field(default_factory=lambda: {split: [] for split in (*SIDES, ASIDE)})
    added: dict[str, list[tuple[pa.Table, npt.NDArray[np.bool_]]]] = field(
        default_factory=lambda: {split: [] for split in (*SIDES, ASIDE)}
    )

    @classmethod
    def open(cls, folder: Path) -> "PostFiles":
        """Those of a dataset's folder. OSError, ValueError, KeyError or pa.ArrowException: they cannot be read."""
        found = cls()
        for split in found.files:
            state = json.loads((folder / split / _STATE).read_text(encoding="utf-8"))
            for item in state["_data_files"]:
                path = folder / split / item["filename"]
                table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
                found.files[split].append(_File(path, table, np.ones(len(table), bool)))
        return found

    def add(self, rows: pa.Table, open_: npt.NDArray[np.bool_], is_caption: npt.NDArray[np.bool_]) -> None:
        """Add posts.

        Args:
            rows: `ROWS`.
            open_: bool [posts], whether they have tags that may become labels.
            is_caption: bool [posts], whether they are in the split of their side, or aside.
        """
        split = np.where(is_caption, rows["split"].to_numpy(zero_copy_only=False), ASIDE)
        for name, tables in self.added.items():
            chosen = np.flatnonzero(split == name)
            tables.append((rows.take(chosen), open_[chosen]))

    def take_out(self, keys: npt.NDArray[np.int64]) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
        """Remove the posts with these keys, and give them: `ROWS`, and bool [posts], whether each was a caption."""
        found = [ROWS.empty_table()]
        caption = [np.empty(0, bool)]
        for split in self.files:
            for file in self.files[split]:
                hit = among(file.table["post_key"].to_numpy(), keys)
                hit = hit[file.alive[hit]]
                if len(hit):
                    found.append(_as_rows(file.table.take(hit), split))
                    file.alive[hit] = False
            tables = self.added[split]
            for place, (table, open_) in enumerate(tables):
                hit = among(table["post_key"].to_numpy(), keys)
                if len(hit):
                    left = np.delete(np.arange(len(table)), hit)
                    found.append(table.take(hit))
                    tables[place] = table.take(left), open_[left]
            caption.append(np.full(sum(map(len, found)) - sum(map(len, caption)), split != ASIDE))
        return pa.concat_tables(found), np.concatenate(caption)

    def count(self, split: str) -> int:
        """Posts of a split, or aside."""
        return sum(int(file.alive.sum()) for file in self.files[split]) + sum(
            len(rows) for rows, _ in self.added[split]
        )

    def aside(self) -> pa.Table:
        """All posts that are no caption: `ROWS`."""
        kept = [_as_rows(file.table.filter(pa.array(file.alive)), ASIDE) for file in self.files[ASIDE]]
        return pa.concat_tables([ROWS.empty_table(), *kept, *(table for table, _ in self.added[ASIDE])])

    def write(self, folder: Path, release: str) -> None:
        """Write a DatasetDict, and what is aside, into a folder that is there.

        Args:
            folder: Where to.
            release: Names the files of what is new.
        """
        import datasets
        from datasets.config import DATASETDICT_JSON_FILENAME
        from datasets.fingerprint import generate_random_fingerprint

        features = datasets.Features.from_arrow_schema(_CAPTIONS)
        info = datasets.DatasetInfo(description=_DESCRIPTION, features=features)
        for split in self.files:
            target = folder / split
            target.mkdir()
            schema = ROWS if split == ASIDE else info.features.arrow_schema
            names = [*self._write_earlier(target, split, schema), *self._write_added(target, split, release, schema)]
            if not names:  # `load_from_disk` needs a file
                names = [f"{release}.arrow"]
                _write(target / names[0], ROWS.empty_table().select(schema.names), schema)
            state = {
                "_data_files": [{"filename": name} for name in names],
                "_fingerprint": generate_random_fingerprint(),
                **dict.fromkeys(("_format_columns", "_format_type", "_split")),
                "_format_kwargs": {},
                "_output_all_columns": False,
            }
            (target / _STATE).write_text(json.dumps(state, indent=2), encoding="utf-8")
            if split != ASIDE:
                info.write_to_directory(str(target))
        (folder / DATASETDICT_JSON_FILENAME).write_text(json.dumps({"splits": list(SIDES)}), encoding="utf-8")

    def _write_earlier(self, target: Path, split: str, schema: pa.Schema) -> list[str]:
        names = []
        for file in self.files[split]:
            if not file.alive.any():
                continue
            if file.alive.all():
                duplicate(file.path, target / file.path.name)
            else:
                _write(target / file.path.name, file.table.filter(pa.array(file.alive)), schema)
            names.append(file.path.name)
        return names

    def _write_added(self, target: Path, split: str, release: str, schema: pa.Schema) -> list[str]:
        table = pa.concat_tables([ROWS.empty_table(), *(table for table, _ in self.added[split])])
        open_ = np.concatenate([np.empty(0, bool), *(flags for _, flags in self.added[split])])
        order = np.argsort(table["post_key"].to_numpy(), kind="stable")
        names = []
        for name, chosen in (
            (f"{release}.arrow", order[~open_[order]]),
            (f"{release}-open.arrow", order[open_[order]]),
        ):
            if len(chosen):
                _write(target / name, table.select(schema.names).take(chosen), schema)
                names.append(name)
        return names


def _as_rows(table: pa.Table, split: str) -> pa.Table:
    if split == ASIDE:
        return table.cast(ROWS)
    side = pa.array([split] * len(table), pa.string())
    return table.append_column("split", side).append_column("left_out", pa.nulls(len(table), pa.string())).cast(ROWS)


def _write(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    with pa.ipc.new_stream(str(path), schema) as writer:
        writer.write_table(table.cast(schema).combine_chunks(), max_chunksize=_BATCH)
