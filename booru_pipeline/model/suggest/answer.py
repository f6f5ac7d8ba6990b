"""What answers consist of: suggestions, what was observed beside them, which tags exclude each other; tag sets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Observed:
    """How many posts with some tags have one more.

    Attributes:
        tags: The tags whose posts are looked at; none if no post has any of the given tags.
        posts: Posts that have all of these.
        together: Those of them that have the label too.
        share: together / posts, whatever is given; None where there are no posts.
    """

    tags: tuple[str, ...]
    posts: int
    together: int
    share: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", self.together / self.posts if self.posts else None)


@dataclass(frozen=True)
class Explanation:
    """Where a suggestion comes from. What counting says by itself is the suggestion's `observed`.

    Attributes:
        t5: What the T5 says by itself, a probability; of a label that is implied, as if nobody knew the implication.
        strongest: The given tag that speaks most for the label, with its own posts: the one whose observed share has
            the highest lower bound. None where no post has a given tag.
        without: The given tag without which the answer would fall most; None if it falls without none of them, if
            there is only one, or if the checkpoint is slow to ask.
        probability_without: The answer without that tag.
    """

    t5: float
    strongest: Observed | None
    without: str | None
    probability_without: float | None


@dataclass(frozen=True)
class Suggestion:
    """A label that the given ones imply.

    Attributes:
        tag: The label.
        probability: Calibrated probability that a post with the given labels has it too; 1 if it is implied.
        category: Its category's name.
        together: Posts that have all the given labels and this one.
        given: Posts that have all the given labels.
        share: together / given; 0 where no post has all the given labels.
        implied: Whether an implication already says so: Danbooru adds such tags by itself.
        observed: The same counts, or, where no post has all the given labels, those of the largest part of them that
            posts have.
        explanation: If it was asked for.
    """

    tag: str
    probability: float
    category: str
    together: int
    given: int
    share: float
    implied: bool
    observed: Observed
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Pair:
    """Two tags that stand together far more rarely than by chance.

    Attributes:
        first: One of them.
        second: The other.
        together: Posts that have both.
        either: Posts that have at least one of them.
        expected: Posts that would have both if the two had nothing to do with each other.
        among: The counts are of posts that have all these tags; of all posts if there are none.
    """

    first: str
    second: str
    together: int
    either: int
    expected: float
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A name that was typed and is not asked about.

    Attributes:
        tag: The name.
        why: Why not, and what may have been meant, in a sentence or two.
    """

    tag: str
    why: str


@dataclass(frozen=True)
class Answer:
    """What a checkpoint and the shards say of some tags.

    Attributes:
        given: The tags that were asked about, canonical, each once.
        observed_on: All of them if a post has them all; else the largest part of them that posts have, of several the
            one that most posts have.
        posts: Posts that have these.
        suggestions: Most probable first.
        apart: Pairs of given tags that hardly stand together, the most striking first.
        exclusive: Pairs of the first suggestions that hardly stand together, the most probable first.
        mixes: Whether counting takes part in the probabilities; else they are the T5's alone.
        categories: Names of the categories whose labels the checkpoint knows.
        asked: The given tags as they were typed, before aliases were replaced; more than one may be the same tag.
        left_out: What was typed besides, and is not asked about.
        idle: Patterns of tags to leave out that no label has.
        deprecated: Those of the given tags that Danbooru has deprecated.
    """

    given: tuple[str, ...]
    observed_on: tuple[str, ...]
    posts: int
    suggestions: list[Suggestion]
    apart: list[Pair]
    exclusive: list[Pair]
    mixes: bool
    categories: tuple[str, ...]
    asked: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    idle: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A tag of a completed set.

    Attributes:
        tag: The label.
        category: Its category's name.
        origin: `given`, `implied` by tags before it, or `drawn`.
        probability: Of a drawn tag, that a post of so many tags, with those before it, has it too; else 1.
        chance: With which it was drawn from what could be drawn; 1 for what was not drawn.
    """

    tag: str
    category: str
    origin: str
    probability: float = 1.0
    chance: float = 1.0


@dataclass(frozen=True)
class TagSet:
    """A whole tag set.

    Attributes:
        tags: The given ones with what they imply, then those drawn in their order, each with what it implies.
        count: How many tags it was to have; it has fewer where nothing more could be drawn.
        log_probability: Natural logarithm of the probability of drawing these tags in this order, the product of the
            chances, given the first ones and how many there are to be.
        seed: Of what was drawn.
    """

    tags: tuple[Member, ...]
    count: int
    log_probability: float
    seed: int


@dataclass(frozen=True)
class Completion:
    """Tag sets that begin with some tags.

    Attributes:
        sets: The sets.
        given: The tags that they begin with, canonical, each once.
        apart: Pairs of these that hardly stand together.
        asked: As in `Answer`, and so are the next ones.
        left_out: What was typed besides.
        idle: Patterns that no label has.
    """

    sets: tuple[TagSet, ...]
    given: tuple[str, ...]
    apart: list[Pair]
    asked: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    idle: tuple[str, ...]
