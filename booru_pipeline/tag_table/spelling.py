"""Names of a release as they come, each in its canonical spelling, and how many rows each rule changed."""

from collections import Counter
from collections.abc import Collection
from typing import Final

import pyarrow as pa

from booru_pipeline.release.names import BOORU_RULES, TAG_RULES, NameRule, canonical

_NAMES: Final = pa.schema([("raw", pa.string()), ("name", pa.string())])
_CHANGED: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "kind", "raw", "name")),
        ("rules", pa.list_(pa.string())),
        ("row_count", pa.int64()),
    ]
)
_RULES: Final = {"booru": BOORU_RULES, "tag": TAG_RULES}


class Spelling:
    """Canonical names by what is written in the dump, for the names that differ.

    Args:
        skipped: Rules that are switched off.
    """

    def __init__(self, skipped: Collection[NameRule]) -> None:
        self._rules = {kind: [rule for rule in rules if rule not in skipped] for kind, rules in _RULES.items()}
        self._known: dict[tuple[str, str], tuple[str, tuple[NameRule, ...]]] = {}
        self._rows: Counter[tuple[str, str, str]] = Counter()

    def look_at(self, source: str, kind: str, found: pa.Table) -> pa.Table:
        """Note names, and give those that are written otherwise here.

        Args:
            source: files or tags.
            kind: booru or tag.
            found: Columns raw and row_count.

        Returns:
            Columns raw and name.
        """
        names: dict[str, str] = {}
        for raw, row_count in zip(found["raw"].to_pylist(), found["row_count"].to_pylist(), strict=True):
            name, rules = self._known.get((kind, raw)) or canonical(raw, self._rules[kind])
            if rules:
                self._known[kind, raw] = name, rules
                self._rows[source, kind, raw] += row_count
                names[raw] = name
        return pa.table([pa.array(names.keys(), pa.string()), pa.array(names.values(), pa.string())], schema=_NAMES)

    def changed(self) -> pa.Table:
        """Every name that is written otherwise: source, kind, raw, name, rules and row_count."""
        rows = [
            {"source": source, "kind": kind, "raw": raw, "name": name, "rules": list(rules), "row_count": row_count}
            for (source, kind, raw), row_count in self._rows.items()
            for name, rules in [self._known[kind, raw]]
        ]
        return pa.Table.from_pylist(rows, _CHANGED)
