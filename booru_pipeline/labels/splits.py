"""Opening a tokenized dataset, whatever is in its splits.

Imports datasets; import this module lazily.
"""

import json
from pathlib import Path

from datasets import Dataset, DatasetDict, DatasetInfo, load_from_disk
from datasets.config import DATASETDICT_JSON_FILENAME

from booru_pipeline.errors import BooruError


def open_splits(dataset: Path) -> DatasetDict:
    """Open a dataset folder; a split without posts is an empty one.

    Raises:
        BooruError: There is none, or it lacks the train or the test split.
    """
    try:
        listing = json.loads((dataset / DATASETDICT_JSON_FILENAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BooruError(
            f"there is no dataset at {dataset}. Make it with `booru run --to tokenized_dataset`."
        ) from error
    missing = {"train", "test"} - set(listing["splits"])
    if missing:
        raise BooruError(
            f"the dataset {dataset} has no {' or '.join(sorted(missing))} split. "
            "Make it again with `booru run --to tokenized_dataset`."
        )
    return DatasetDict({split: _open_split(dataset / split) for split in listing["splits"]})


def _open_split(folder: Path) -> Dataset:
    # A split without rows is saved without a file, and load_from_disk then stumbles over the missing first one.
    if not any(folder.glob("*.arrow")):
        features = DatasetInfo.from_directory(str(folder)).features
        return Dataset(features.arrow_schema.empty_table())
    return load_from_disk(str(folder))
