"""The tables of an audit: their files and columns."""

from pathlib import Path
from typing import Final

import pyarrow as pa

LIKELY: Final = 0.5
"""Probability from which a missing tag is shown unless others are asked for."""

MISSING: Final = "missing"
SUSPECT: Final = "suspect"
IMPLICATIONS: Final = "implications"
ALIASES: Final = "aliases"
NOT_KEPT: Final = "not_kept"
EXCLUSIONS: Final = "exclusions"
CORE_TAGS: Final = "core_tags"


def table_file(audit: Path, table: str) -> Path:
    """The Parquet file of a table, in an audit's folder."""
    return audit / f"{table}.parquet"


# Tags of the post, each with the posts that have both it and the label, those that have it, and those of them that
# would have both by chance; a tag that is no label, and implies the label, has none of these.
EVIDENCE: Final = pa.list_(
    pa.struct([("tag", pa.string()), ("together", pa.int64()), ("posts", pa.int64()), ("expected", pa.float32())])
)

SCHEMAS: Final = {
    # A row a tag that a post lacks, the most probable first. `implied`: another tag of the post implies it.
    # `core_of`: the character whose core tag it is, or null. `because`: tags of the post that speak for it, each with
    # the posts that have both, those that have it, and those of them that would have both by chance.
    MISSING: pa.schema(
        [
            ("booru", pa.string()),
            ("fid", pa.int64()),
            ("tag", pa.string()),
            ("category", pa.string()),
            ("probability", pa.float32()),
            ("implied", pa.bool_()),
            ("core_of", pa.string()),
            ("because", EVIDENCE),
        ]
    ),
    # A row a tag of a post that its others speak against, the oddest first. `probability`: by the others. `rate`: the
    # tag's share of all posts. `ratio`: probability / rate. `because`: the tags that speak against it.
    SUSPECT: pa.schema(
        [
            ("booru", pa.string()),
            ("fid", pa.int64()),
            ("tag", pa.string()),
            ("category", pa.string()),
            ("probability", pa.float32()),
            ("rate", pa.float32()),
            ("ratio", pa.float32()),
            ("because", EVIDENCE),
        ]
    ),
    # Pairs that hold and that known implications do not give, the likeliest implication first. `low`: Wilson's lower
    # bound of `share`. `lift`: `share` over the consequent's share of all posts. `both_ways`: it holds in the other
    # direction as well. `may_be_asked`: both are of one category, as Danbooru wants it. `counter_examples`: pages of
    # posts with the antecedent alone.
    IMPLICATIONS: pa.schema(
        [
            ("antecedent", pa.string()),
            ("consequent", pa.string()),
            ("together", pa.int64()),
            ("posts", pa.int64()),
            ("share", pa.float32()),
            ("antecedent_category", pa.string()),
            ("consequent_category", pa.string()),
            ("low", pa.float32()),
            ("lift", pa.float32()),
            ("both_ways", pa.bool_()),
            ("may_be_asked", pa.bool_()),
            ("counter_examples", pa.list_(pa.string())),
        ]
    ),
    # Two names of what seems one thing: spelled alike, in the same company, and hardly ever together.
    ALIASES: pa.schema(
        [
            ("alias", pa.string()),
            ("tag", pa.string()),
            ("category", pa.string()),
            ("alias_posts", pa.int64()),
            ("tag_posts", pa.int64()),
            ("together", pa.int64()),
            ("likeness", pa.float32()),
            ("examples", pa.list_(pa.string())),
        ]
    ),
    # Known implications that the posts do not keep. `high`: Wilson's upper bound of `share`.
    NOT_KEPT: pa.schema(
        [
            ("antecedent", pa.string()),
            ("consequent", pa.string()),
            ("together", pa.int64()),
            ("posts", pa.int64()),
            ("share", pa.float32()),
            ("high", pa.float32()),
            ("counter_examples", pa.list_(pa.string())),
        ]
    ),
    # Pairs of tags that stand together far more rarely than by chance. `expected`: posts with both by chance.
    EXCLUSIONS: pa.schema(
        [
            ("first", pa.string()),
            ("second", pa.string()),
            ("together", pa.int64()),
            ("first_posts", pa.int64()),
            ("second_posts", pa.int64()),
            ("expected", pa.float32()),
        ]
    ),
    # Tags on most posts of a character.
    CORE_TAGS: pa.schema(
        [
            ("character", pa.string()),
            ("tag", pa.string()),
            ("category", pa.string()),
            ("together", pa.int64()),
            ("posts", pa.int64()),
            ("share", pa.float32()),
        ]
    ),
}
