"""One artifact of several files that all say the same."""

from booru_pipeline.lake.publish import staged
from booru_pipeline.lake.record import Record

RECORD = Record(stage="training_shards", release="2021a", key="key")
NAME = "shards/2021a"


def write(lake, text, parts="ab"):
    """Publish an artifact of several files that all say the same."""
    with staged(lake.home / NAME, lake.staging) as draft:
        (draft / "inner").mkdir(parents=True)
        for part in parts:
            (draft / "inner" / part).write_text(text)
        RECORD.write(draft)


def read(lake):
    return {path.read_text() for path in (lake.bring(lake.home / NAME) / "inner").iterdir()}
