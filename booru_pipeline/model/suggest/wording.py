"""An answer in words: shares with their support, and what has to be said beside the table."""

import math
from collections.abc import Sequence
from typing import Final

from booru_pipeline.model.suggest.answer import Answer, Completion, Observed, Pair, Suggestion, TagSet
from booru_pipeline.release.names import canonical_tag

_ENOUGH: Final = 5  # posts; a share of fewer is not worth a percentage
_SHOWN: Final = 5  # pairs of a kind; the rest are counted


def percent(share: float, digits: int = 0) -> str:
    """Such as `95 %`. What is not quite all or nothing does not become so by rounding: `>99 %`, `<1 %`."""
    smallest = 10.0**-digits
    if 0 < share < 1:
        rounded = round(100 * share, digits)
        if rounded >= 100:
            return f">{100 - smallest:.{digits}f} %"
        if rounded <= 0:
            return f"<{smallest:.{digits}f} %"
    return f"{100 * share:.{0 if share in (0, 1) else digits}f} %"


def probability(suggestion: Suggestion) -> str:
    """Such as `94.2 %`; `100 %` is only what an implication says."""
    shown = suggestion.probability if suggestion.implied else min(suggestion.probability, 1 - 1e-9)
    return percent(shown, 1)


def observed(seen: Observed) -> str:
    """Such as `95 % (181 of 190)`; the counts alone where a share would say more than they do."""
    if seen.share is None:
        return "never seen"
    counts = f"{seen.together:,} of {seen.posts:,}"
    return counts if seen.posts < _ENOUGH else f"{percent(seen.share)} ({counts})"


def about_the_question(answer: Answer | Completion, tags: Sequence[str]) -> list[str]:
    """How a question was understood, where that is not what was typed.

    Args:
        answer: To it.
        tags: What was typed, in one piece or several.
    """
    lines = [f"left out: {item.why}" for item in answer.left_out]
    if not _is_as_typed(answer.asked, tags):
        lines.append(f"understood: {', '.join(answer.asked)}")
    for pattern in answer.idle:
        about_sets = "; [ begins a set, such as [abc]" if "[" in pattern else ""
        lines.append(f"no label matches --exclude '{pattern}': it leaves nothing out{about_sets}")
    return lines


def about_the_given(answer: Answer) -> list[str]:
    """What a reader must know of the given tags: which are deprecated, which posts were counted, which hardly meet."""
    lines = [
        f"{tag} is deprecated on Danbooru: it is not to be used there, and is never suggested"
        for tag in answer.deprecated
    ]
    if not answer.observed_on:
        lines.append(f"no post has {' or '.join(answer.given)}: nothing is observed")
    elif answer.observed_on != answer.given:
        posts = f"{answer.posts:,} post{'' if answer.posts == 1 else 's'}"
        lines.append(
            f"no post has all of {', '.join(answer.given)}; observed: on the {posts} with "
            f"{', '.join(answer.observed_on)}"
        )
    return lines + about_pairs(answer.apart)


def about_pairs(apart: Sequence[Pair]) -> list[str]:
    """Given tags that hardly stand together."""
    return _most_striking(
        [
            f"{pair.first} and {pair.second}: {pair.together:,} of {pair.either:,} posts with either "
            f"(by chance: {pair.expected:,.0f})"
            for pair in apart
        ],
        "that hardly stand together",
    )


def about_the_suggestions(answer: Answer) -> list[str]:
    """Which suggestions exclude each other, and whether counting took part in an explained answer."""
    lines = _most_striking([_exclusive(pair) for pair in answer.exclusive], "that exclude each other")
    if not answer.mixes and any(item.explanation for item in answer.suggestions):
        lines.append("this checkpoint answers as its T5 does: counting has no part in it")
    return lines


def nothing_left(answer: Answer) -> str:
    """Why there is no suggestion."""
    return (
        f"nothing is left to suggest. The checkpoint knows labels of the categories {', '.join(answer.categories)}; "
        "loosen --category, --exclude, --hide-implied or --min-support."
    )


def explanation(suggestion: Suggestion) -> list[str]:
    """The views beside the answer, and which given tag speaks for it, in two or three lines; none if not asked for."""
    found = suggestion.explanation
    if found is None:
        return []
    views = f"{suggestion.tag} {probability(suggestion)}: T5 {percent(found.t5, 1)}, counting "
    lines = [views + observed(suggestion.observed)]
    strongest = found.strongest.tags[0] if found.strongest is not None else None
    if found.strongest is not None:
        lines.append(f"most from {strongest}: {observed(found.strongest)}")
    if found.without is not None and found.probability_without is not None:
        less = percent(found.probability_without, 1)
        if found.without == strongest:
            lines[-1] += f"; without it: {less}"
        else:
            lines.append(f"without {found.without}: {less}")
    return lines


def whole(found: TagSet) -> str:
    """A line about a drawn set: how many tags, how probable all of it, and by which seed."""
    short = f" of {found.count:,}: nothing more fits" if len(found.tags) < found.count else ""
    return (
        f"{len(found.tags):,} tags{short}; drawn in this order with a probability of "
        f"10^{found.log_probability / math.log(10):.1f}; seed {found.seed}"
    )


def _exclusive(pair: Pair) -> str:
    among = f"{', '.join(pair.among)} and either" if pair.among else "either"
    return (
        f"{pair.first} and {pair.second} exclude each other: together on {pair.together:,} of {pair.either:,} posts "
        f"with {among}"
    )


def _most_striking(lines: Sequence[str], kind: str) -> list[str]:
    more = len(lines) - _SHOWN
    pairs = f"{more} more pair{'' if more == 1 else 's'} {kind}"
    return [*lines[:_SHOWN], *([pairs] if more > 0 else [])]


def _is_as_typed(asked: Sequence[str], tags: Sequence[str]) -> bool:
    """Whether these are the arguments one by one, but for spaces and capitals."""
    return list(asked) == list(dict.fromkeys(filter(None, map(canonical_tag, tags))))
