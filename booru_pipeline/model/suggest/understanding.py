"""Which labels a question is about, and of every other name that was typed why not and what may have been meant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.model.suggest.answer import LeftOut
from booru_pipeline.model.suggest.counting import Counter
from booru_pipeline.model.suggest.prompt import Piece, read_prompt
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


def understand(
    tags: Sequence[str],
    vocabulary: Vocabulary,
    relations: Relations,
    counter: Counter,
    thresholds: VocabularyOptions | None,
    names: Callable[[], LabelNames],
) -> Question:
    """Read what was typed, see `prompt.read_prompt`, and find the labels.

    Args:
        tags: What was typed, in one piece or several.
        vocabulary: The checkpoint's.
        relations: Its aliases and implications.
        counter: Of the shards: what is no label may be a tag all the same.
        thresholds: Which tags became labels, if it is known.
        names: Gives the labels' names, which are needed where a name is none.

    Raises:
        BooruError: Nothing was typed, or nothing of it is a label.
    """
    tried: set[str] = set()

    def known(name: str) -> bool:
        tried.add(name)
        return name in vocabulary.index or name in relations.aliases

    pieces = read_prompt(tags, known)
    if not pieces:
        raise BooruError("no tag is given. Name at least one, such as usada_pekora.")
    found: dict[str, tuple[int, int]] = {}
    if any(relations.canonical(piece.tag) not in vocabulary.index for piece in pieces):
        # A surrogate (an argument in another encoding) is on no post, and DuckDB refuses to look for it.
        tags_tried = {relations.canonical(name) for name in tried if name.isprintable()}
        found = counter.look_up(tags_tried.difference(vocabulary.index))
        pieces = read_prompt(tags, lambda name: known(name) or name in found)
    asked = [piece.tag for piece in pieces if relations.canonical(piece.tag) in vocabulary.index]
    others = [piece for piece in pieces if piece.tag not in asked]
    left_out: tuple[LeftOut, ...] = ()
    if others:
        near = names()
        whys = [_why(piece, relations.canonical(piece.tag), found, thresholds, near) for piece in others]
        given_up = [relations.canonical(piece.tag) in relations.deprecated for piece in others]
        whys = [f"{why} It is deprecated on Danbooru." if it else why for why, it in zip(whys, given_up, strict=True)]
        left_out = tuple(LeftOut(piece.tag, why) for piece, why in zip(others, whys, strict=True))
    if not asked:
        said = " ".join(item.why for item in left_out)
        hint = "" if "?" in said else " Look for labels with `booru sql --file general_labels`."
        raise BooruError(("" if len(left_out) == 1 else "no label is left to ask about: ") + said + hint)
    return Question(tuple(asked), tuple(dict.fromkeys(map(relations.canonical, asked))), left_out)


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
