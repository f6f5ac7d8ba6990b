"""Posts made by hand, of which it is known where they are from and what they show."""

import numpy as np
import pyarrow as pa

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.ragged import offsets_of


def posts_of(labels, *, booru="safebooru", fid=None, group=None, release="2021a") -> Posts:
    """Posts with these label rows; whatever else is said of them is one word for all, or a list. Else each is its own.

    Args:
        labels: Label rows of each post.
        booru: Site.
        fid: Numbers there.
        group: Pictures.
        release: The latest one that lists it.
    """
    count = len(labels)
    about = {
        "booru": [booru] * count if isinstance(booru, str) else booru,
        "fid": pa.array(range(count) if fid is None else fid, pa.int64()),
        "group_md5": [f"picture {row}" for row in range(count)] if group is None else group,
        "release": [release] * count if isinstance(release, str) else release,
    }
    rows = np.concatenate([np.empty(0, dtype=np.int64), *labels]).astype(np.int64)
    return Posts(rows, offsets_of([len(own) for own in labels]), about=pa.table(about))
