"""The posts of one sample release: which are new, which a second booru has too, which were listed before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import md5
from random import Random

from booru_pipeline.sample.draw import draw_post, draw_tail, removable
from booru_pipeline.sample.world import World

# The boorus of the releases and how much each contributes.
_BOORUS = {
    "chan.sankakucomplex.com": 5,
    "danbooru.donmai.us": 12,
    "safebooru.org": 53,
    "www.zerochan.net": 15,
    "yande.re": 15,
}
_TWO_BOORUS = 0.04
_LISTED_AGAIN = 0.02
_QUOTED_COPYRIGHT = 0.004

_FIRST_FID = 3_000_000
_FIDS_PER_SLOT = 8  # half for the post itself, half for the same picture on another booru


@dataclass(frozen=True, slots=True)
class Listing:
    """A post as one booru lists it."""

    booru: str
    fid: int
    tags: frozenset[str]
    orig_md5: str
    torr_md5: str
    file_size: int
    width: int
    height: int
    quality: int

    @property
    def key(self) -> tuple[str, int]:
        """The booru and the post's number there: what identifies a listing in any release."""
        return self.booru, self.fid


@dataclass(frozen=True, slots=True)
class ReleasePosts:
    """The posts of a release, in three parts that do not overlap."""

    new: tuple[Listing, ...]
    on_second_booru: tuple[Listing, ...]
    listed_again: tuple[Listing, ...]

    @property
    def listings(self) -> list[Listing]:
        """All posts in the order of the files."""
        return sorted((*self.new, *self.on_second_booru, *self.listed_again), key=lambda listing: listing.key)


def some(rate: float, total: int) -> int:
    """How many of `total` a wart hits: its rate, but at least one unless the release is tiny."""
    return max(1, round(rate * total)) if total >= 10 else 0


def draw_release(world: World, earlier: Sequence[ReleasePosts], posts: int, seed: int, release: str) -> ReleasePosts:
    """Draw the posts of one release, `posts` in all, seeded by its key and the sample's seed.

    A few posts of earlier releases are listed again with slightly edited tags.
    """
    rng = Random(f"{seed}/{release}/posts")
    # A post that was listed again is known by its latest edit.
    former = {listing.key: listing for part in earlier for listing in (*part.new, *part.listed_again)}
    again_count = some(_LISTED_AGAIN, posts) if earlier else 0
    second_count = some(_TWO_BOORUS, posts)
    first_fid = _FIRST_FID + len(earlier) * _fids_per_release(posts)
    new = [
        _draw_listing(world, first_fid + slot * _FIDS_PER_SLOT, f"{seed}/{release}/{slot}", rng)
        for slot in range(posts - again_count - second_count)
    ]
    for position in rng.sample(range(len(new)), some(_QUOTED_COPYRIGHT, posts)):
        quoted = rng.choice(world.quoted_copyrights)
        new[position] = replace(new[position], tags=new[position].tags | {quoted})
    return ReleasePosts(
        new=tuple(new),
        on_second_booru=tuple(_on_second_booru(world, listing, rng) for listing in rng.sample(new, second_count)),
        listed_again=tuple(_listed_again(world, former[key], rng) for key in rng.sample(sorted(former), again_count)),
    )


def draw_unlisted(world: World, releases_before: int, posts: int, count: int, seed: int, release: str) -> list[Listing]:
    """Posts that no release lists, numbered after the release's own: what unusable lines are made of."""
    first_fid = _FIRST_FID + releases_before * _fids_per_release(posts) + posts * _FIDS_PER_SLOT
    name = f"{seed}/{release}/unlisted"
    rng = Random(name)
    return [_draw_listing(world, first_fid + slot * _FIDS_PER_SLOT, f"{name}/{slot}", rng) for slot in range(count)]


def _fids_per_release(posts: int) -> int:
    """A round number with room for every post and for the unlisted ones, so that no two releases share a number."""
    return -(-(posts + 1_000) * _FIDS_PER_SLOT // 100_000) * 100_000


def _draw_listing(world: World, fid: int, name: str, rng: Random) -> Listing:
    return Listing(
        booru=rng.choices(list(_BOORUS), list(_BOORUS.values()))[0],
        fid=fid + rng.randrange(_FIDS_PER_SLOT // 2),
        tags=draw_post(world, rng),
        orig_md5=_hash(f"{name}/original"),
        torr_md5=_hash(f"{name}/torrent"),
        file_size=rng.randrange(90_000, 4_000_000),
        width=rng.randrange(700, 2_400),
        height=rng.randrange(700, 2_600),
        quality=rng.randrange(85, 99),
    )


def _on_second_booru(world: World, listing: Listing, rng: Random) -> Listing:
    """The same picture elsewhere: the same original, made smaller once more, and up to three tags fewer."""
    tags = listing.tags
    for _ in range(rng.randrange(4)):
        tags -= {rng.choice(removable(world, tags))}
    return replace(
        listing,
        booru=rng.choice([booru for booru in _BOORUS if booru != listing.booru]),
        fid=listing.fid // _FIDS_PER_SLOT * _FIDS_PER_SLOT + rng.randrange(_FIDS_PER_SLOT // 2, _FIDS_PER_SLOT),
        tags=tags,
        torr_md5=_hash(f"{listing.torr_md5}/second"),
        file_size=rng.randrange(90_000, 4_000_000),
        quality=rng.randrange(85, 99),
    )


def _listed_again(world: World, listing: Listing, rng: Random) -> Listing:
    """The post as a later release has it: a few tags more, now and then one fewer."""
    tags = listing.tags
    if rng.random() < 0.2:
        tags -= {rng.choice(removable(world, tags))}
    more = draw_tail(world, rng.randrange(2, 5), rng)
    return replace(listing, tags=frozenset(world.closure(tags.union(more))))


def _hash(name: str) -> str:
    return md5(name.encode(), usedforsecurity=False).hexdigest()
