"""Which labels a question is about, and of every other name that was typed why not and what may have been meant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.model.suggest.answer import LeftOut
from booru_pipeline.model.suggest.counting import Counter
from booru_pipeline.model.suggest.prompt import Piece, Remembered, read_prompt
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.label_names import LabelNames
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Question:
    """What was typed, understood.

    Attributes:
        asked: The names of labels that were typed, each once, in their order; some are aliases.
        given: The labels.
        left_out: The other names.
    """

    asked: tuple[str, ...]
    given: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


class Reader:
    """Finds the labels in what was typed, question after question.

    What some text between two commas stands for is remembered, so that thousands of posts are read as fast as the
    names in them are new: a reader is for one file, and not for the life of a server.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        relations: Relations,
        counter: Counter,
        thresholds: VocabularyOptions | None,
        names: Callable[[], LabelNames],
    ) -> None:
        """Make ready to read.

        Args:
            vocabulary: The checkpoint's.
            relations: Its aliases and implications.
            counter: Of the shards: what is no label may be a tag all the same.
            thresholds: Which tags became labels, if it is known.
            names: Gives the labels' names, which are needed where a name is none.
        """
        self._vocabulary, self._relations, self._counter = vocabulary, relations, counter
        self._thresholds, self._names = thresholds, names
        self._found: dict[str, tuple[int, int]] = {}  # tags that are no labels, with posts and category
        self._of_labels: Remembered = {}
        self._of_tags: Remembered = {}
        self._left_out: dict[Piece, LeftOut] = {}

    def read(self, questions: Sequence[Sequence[str]]) -> list[Question | BooruError]:
        """What each question is about, see `prompt.read_prompt`, or why it is about nothing.

        Args:
            questions: What was typed for each, in one piece or several.
        """
        tried: set[str] = set()

        def known(name: str) -> bool:
            tried.add(name)
            return name in self._vocabulary.index or name in self._relations.aliases

        read = [read_prompt(tags, known, self._of_labels) for tags in questions]
        unclear = [row for row, pieces in enumerate(read) if not all(map(self._is_label, pieces))]
        if unclear:
            # A surrogate (an argument in another encoding) is on no post, and DuckDB refuses to look for it.
            names = {self._relations.canonical(name) for name in tried if name.isprintable()}
            found = self._counter.look_up(names.difference(self._vocabulary.index, self._found))
            if found:
                self._found |= found
                self._of_tags.clear()
        for row in unclear:
            read[row] = read_prompt(questions[row], lambda name: known(name) or name in self._found, self._of_tags)
        return [self._question(pieces) for pieces in read]

    def _is_label(self, piece: Piece) -> bool:
        return self._relations.canonical(piece.tag) in self._vocabulary.index

    def _question(self, pieces: Sequence[Piece]) -> Question | BooruError:
        if not pieces:
            return BooruError("no tag is given. Name at least one, such as usada_pekora.")
        asked = tuple(piece.tag for piece in pieces if self._is_label(piece))
        left_out = tuple(self._why_not(piece) for piece in pieces if piece.tag not in asked)
        if not asked:
            said = " ".join(item.why for item in left_out)
            hint = "" if "?" in said else " Look for labels with `booru sql --file general_labels`."
            return BooruError(("" if len(left_out) == 1 else "no label is left to ask about: ") + said + hint)
        return Question(asked, tuple(dict.fromkeys(map(self._relations.canonical, asked))), left_out)

    def _why_not(self, piece: Piece) -> LeftOut:
        if piece not in self._left_out:
            tag = self._relations.canonical(piece.tag)
            why = _why(piece, tag, self._found, self._thresholds, self._names())
            if tag in self._relations.deprecated:
                why = f"{why} It is deprecated on Danbooru."
            self._left_out[piece] = LeftOut(piece.tag, why)
        return self._left_out[piece]


def _why(
    piece: Piece,
    tag: str,
    found: Mapping[str, tuple[int, int]],
    thresholds: VocabularyOptions | None,
    names: LabelNames,
) -> str:
    """Why a name is not asked about, in a sentence or two."""
    shown = printable(tag)
    if piece.is_network:
        return f"{shown} loads a network, and names no tag."
    if tag not in found:
        if tag[0] == "-" and tag[1:] in names:
            return f"{shown} asks for posts without it: `--exclude {shown[1:]}` leaves it out of the answer."
        return f"no label is called {shown}.{names.hint(tag)}"
    posts, number = found[tag]
    category = Category.name_of(number)
    if thresholds is not None and number not in thresholds.categories:
        article = "an" if category[0] in "aeiou" else "a"
        return f"{shown} is {article} {category} tag: these are not learned."
    on = f"{shown} is on {posts:,} post{'' if posts == 1 else 's'}"
    if thresholds is None:
        return f"{on}, too rare for this vocabulary, or of a category left out of it.{names.hint(tag)}"
    needed = thresholds.min_general_posts if number == Category.GENERAL else thresholds.min_name_posts
    if posts < needed:
        return f"{on}, too rare for a label, which needs {needed:,}.{names.hint(tag)}"
    return f"{on}, and no label of this checkpoint, which was made before. Make it again with `booru run`."
