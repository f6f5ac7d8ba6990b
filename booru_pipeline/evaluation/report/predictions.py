"""Every prediction, as a table: a row a test post and hidden share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.task import Hidden, RecoveryTask

_LABELS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        pa.field("booru", pa.string()),
        pa.field("fid", pa.int64()),
        pa.field("hidden_share", pa.float64()),
        pa.field("visible", _LABELS, metadata={"description": "labels left"}),
        pa.field("implied", _LABELS, metadata={"description": "what these imply besides; given to the model as well"}),
        pa.field("derivable", _LABELS, metadata={"description": "hidden labels among the implied ones, not asked for"}),
        pa.field("hidden", _LABELS, metadata={"description": "hidden labels asked for, the model's best ranked first"}),
        pa.field("rank", pa.list_(pa.int64()), metadata={"description": "the model's rank of each, 1 is best"}),
        pa.field("predicted", _LABELS, metadata={"description": "first guesses; none if nothing was asked for"}),
        pa.field("probability", pa.list_(pa.float32()), metadata={"description": "calibrated, of each guess"}),
    ]
)


def write_predictions(
    path: Path, task: RecoveryTask, answers: Sequence[tuple[Hidden, Asked]], labels: Sequence[str]
) -> None:
    """Write the table, for each hidden share what was hidden and what the model said to the headline's question."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for hidden, asked in answers:
            writer.write_table(pa.Table.from_pylist(_rows(task, hidden, asked, labels), SCHEMA))


def _rows(task: RecoveryTask, hidden: Hidden, asked: Asked, labels: Sequence[str]) -> list[dict[str, object]]:
    def names(rows: NDArray[np.int64] | list[int]) -> list[str]:
        return [labels[row] for row in rows]

    ends = np.cumsum(asked.ranks.sizes)[:-1]
    places = {int(post): place for place, post in enumerate(asked.question.posts)}
    ordered, ranks = np.split(asked.ranks.label, ends), np.split(asked.ranks.rank, ends)
    derivable = hidden.derivable
    rows = []
    for post, (booru, fid) in enumerate(zip(task.posts.column("booru"), task.posts.column("fid"), strict=True)):
        place = places.get(post)
        guesses = asked.guesses[place] if place is not None else None
        rows.append(
            {
                "booru": booru,
                "fid": fid,
                "hidden_share": hidden.share,
                "visible": names(hidden.visible[post]),
                "implied": names(np.setdiff1d(hidden.closed[post], hidden.visible[post], assume_unique=True)),
                "derivable": names(derivable[post]),
                "hidden": names(ordered[place]) if place is not None else [],
                "rank": ranks[place].tolist() if place is not None else [],
                "predicted": names(guesses.labels) if guesses else [],
                "probability": guesses.probability if guesses else [],
            }
        )
    return rows
