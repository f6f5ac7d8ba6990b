"""The names of labels, to find those near to one that is none."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.names import canonical_tag
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_KEPT: Final = 4096  # names whose likes are kept
_SHOWN: Final = 3  # names that may have been meant
_LIKE: Final = 75.0  # per cent of the letters in common, in their order: rabbit_eers is not like rabbit_girl
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


class LabelNames:
    """All names of labels, aliases among them; `in` tells whether a name is one."""

    def __init__(self, vocabulary: Vocabulary, relations: Relations) -> None:
        labels = (vocabulary.labels[row] for row in vocabulary.by_posts)  # the most frequent first
        self._label_of = {label: label for label in labels if label not in relations.deprecated}
        for alias, tag in relations.aliases.items():
            if tag in self._label_of:
                self._label_of.setdefault(alias, tag)
        self._order = {label: order for order, label in enumerate(dict.fromkeys(self._label_of.values()))}
        self._words = {name: _words(name) for name in self._label_of}
        # To look takes longer than all else of an answer, and in a file of posts a name comes again and again.
        self.near = lru_cache(_KEPT)(self._near)

    def _near(self, typed: str) -> tuple[list[str], bool]:
        """Labels that may have been meant, some at most, and whether there are more.

        Those with the typed words among theirs come first, then those with words that begin so, the most frequent
        first; only where there is none, those of a like spelling.
        """
        words = _words(typed)
        found: Iterable[str] = ()
        if words.strip("_"):
            whole = (name for name, others in self._words.items() if words in others)
            begun = (name for name, others in self._words.items() if words[:-1] in others)
            found = [*whole, *begun] if len(words) > 3 else [*whole]
        names = list(found) or self._alike(typed)
        labels = dict.fromkeys(self._label_of[name] for name in names)
        return list(islice(labels, _SHOWN)), len(labels) > _SHOWN

    def label(self, typed: str) -> str:
        """The label that a name or an alias stands for.

        Raises:
            BooruError: There is none; with what may have been meant.
        """
        name = canonical_tag(typed)
        if name not in self._label_of:
            raise BooruError(f"no label is called {printable(name)}.{self.hint(name)}")
        return self._label_of[name]

    def completions(self, typed: str, limit: int) -> list[tuple[str, str | None]]:
        """Labels whose name, or an alias of theirs, begins with a text, then those with a word that does, then others
        that hold it; of each kind the most frequent first. With each the alias, if the label's own name does not fit.
        """
        text = "_".join(typed.lower().split())
        found: dict[str, tuple[int, int, bool, str]] = {}
        for order, (name, label) in enumerate(self._label_of.items()):
            at = name.find(text)
            if at >= 0:
                kind = 0 if at == 0 else 1 if f"_{text}" in name or f"({text}" in name else 2
                fit = (kind, self._order[label], name != label, name)
                found[label] = min(found.get(label, fit), fit)
            if not text and order + 1 == limit:
                break
        best = sorted(found.items(), key=lambda item: item[1])[:limit]
        return [(label, name if is_alias else None) for label, (_, _, is_alias, name) in best]

    def __contains__(self, name: str) -> bool:
        return name in self._label_of

    def hint(self, typed: str) -> str:
        """A sentence with a blank before it, such as `Did you mean rabbit_ears?`; empty if no label is near."""
        near, more = self.near(typed)
        if not near:
            return ""
        *most, last = near
        listed = f"{', '.join(near)} …" if more else f"{', '.join(most)} or {last}" if most else last
        return f" Did you mean {printable(listed)}?"

    def _alike(self, typed: str) -> list[str]:
        from rapidfuzz import fuzz, process  # only for a name that is unknown

        found = process.extract(typed, self._label_of.keys(), scorer=fuzz.ratio, score_cutoff=_LIKE, limit=_SHOWN)
        return [name for name, _, _ in found]


def _words(name: str) -> str:
    """A name's words between underscores, such as `_saber_fate_`."""
    return f"_{_BETWEEN_WORDS.sub('_', name).strip('_')}_"
