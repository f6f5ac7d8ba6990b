"""A sample release's two files, byte for byte in the raw format, warts and (where asked for) defects included."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random

from booru_pipeline.sample.listing import Listing, ReleasePosts, some
from booru_pipeline.sample.world import World
from booru_pipeline.tags import Category

FILES_COLUMNS = (
    *("BOORU", "FID", "FILE_NAME", "TORR_MD5", "ORIG_EXT", "ORIG_MD5", "FILE_SIZE", "IMG_SIZE_TORR", "JQ", "TORR_PATH"),
    *("TAGS_COPYR", "TAGS_CHAR", "TAGS_ARTIST"),
)
TAGS_COLUMNS = ("BOORU", "FID", "TAG", "TAG_ID", "TAG_CAT", "DANB_FR")

# The order of a post's tags in the tags file.
_TAG_ORDER = (
    Category.COPYRIGHT,
    Category.CHARACTER,
    Category.ARTIST,
    Category.GENERAL,
    Category.META,
    Category.UNCATALOGUED,
)
_FRANCHISE = {Category.GENERAL: "GENERAL", Category.ARTIST: "ARTIST", Category.META: "META"}
_SITES = {"chan.sankakucomplex.com": "sankakucomplex", "danbooru.donmai.us": "donmai", "www.zerochan.net": "zerochan"}

_QUOTED_NAME = 0.003
_WART_ROWS = 0.0005
_EACH_DEFECT = 3
_UNLISTED_KINDS = 4  # kinds of defect made of unlisted posts: three of the files file, and orphan rows
_SHORT_FILES_LINE = 9  # fields
_NO_NUMBER = "n/a"
_NOT_UTF8 = b"pok\xe9mon_\xff"

# Lines that stand together: a line and its contiguous repeats, if any. Nothing is ever put in between.
_Lines = list[bytes]


@dataclass(frozen=True, slots=True)
class ReleaseTruth:
    """Counts of what was written into one release.

    Attributes:
        release: The release's key, such as `2021a`.
        files_lines: Lines of the files file, the header included.
        tags_lines: Lines of the tags file, the header included.
        files_good: Lines of the files file that a reader should keep.
        tags_good: Lines of the tags file that a reader should keep: without repeats and defects.
        duplicate_tag_rows: Lines of the tags file that repeat an earlier one exactly.
        warts: How many good rows (or, for the repeats, extra rows) have each oddity that a reader must cope with.
        defects: How many unusable lines there are of each kind; empty unless defects were asked for.
    """

    release: str
    files_lines: int
    tags_lines: int
    files_good: int
    tags_good: int
    duplicate_tag_rows: int
    warts: dict[str, int]
    defects: dict[str, int]


def render(
    world: World, drawn: ReleasePosts, release: str, seed: int, unlisted: Sequence[Listing] = ()
) -> tuple[_Lines, _Lines, ReleaseTruth]:
    """The lines of a release's files file and of its tags file, without their headers, and the truth about them.

    Args:
        world: Where the tags' categories and numbers are looked up.
        drawn: The release's posts.
        release: The release's key.
        seed: The seed of the whole sample.
        unlisted: Posts that are not in the release. If there are any, defects are made of them and put between
            the good lines, which stay as they are without.
    """
    rng = Random(f"{seed}/{release}/raw")
    listings = drawn.listings
    quoted_names = {listings[i].key for i in rng.sample(range(len(listings)), some(_QUOTED_NAME, len(listings)))}
    files = [_files_row(world, listing, release, quote=listing.key in quoted_names) for listing in listings]
    tags = [row for listing in listings for row in _tags_rows(world, listing, rng)]

    hit = some(_WART_ROWS, len(tags))
    # The last row is left out: a scattered repeat needs a row to stand behind.
    hits = rng.sample(range(len(tags) - 1), 3 * hit)
    for row in hits[:hit]:
        tags[row].pop()
    plain = [row for row, fields in enumerate(tags) if fields[4] == str(Category.GENERAL.value) and row not in hits]
    for row in rng.sample(plain, hit):
        tags[row][4] = str(Category.UNCATALOGUED.value)

    files_lines = [[_line(fields)] for fields in files]
    tags_lines = [[_line(fields)] for fields in tags]
    for row in hits[hit : 2 * hit]:
        tags_lines[row] *= 2
    repeats = [(rng.randrange(row + 1, len(tags)), tags_lines[row]) for row in hits[2 * hit :]]
    bad_files = _bad_files(world, unlisted, release) if unlisted else {}
    bad_tags = _bad_tags(world, listings, unlisted, Random(f"{seed}/{release}/bad tags")) if unlisted else {}
    where = Random(f"{seed}/{release}/places of defects")
    files_between = [(where.randrange(len(files)), [line]) for line in chain(*bad_files.values())]
    tags_between = [(where.randrange(len(tags)), [line]) for line in chain(*bad_tags.values())]
    all_files, all_tags = _put_between(files_lines, files_between), _put_between(tags_lines, repeats + tags_between)
    truth = ReleaseTruth(
        release=release,
        files_lines=1 + len(all_files),
        tags_lines=1 + len(all_tags),
        files_good=len(files),
        tags_good=len(tags),
        duplicate_tag_rows=2 * hit,
        warts=_warts(drawn, files, tags, hit),
        defects={kind: len(lines) for kind, lines in (bad_files | bad_tags).items()},
    )
    return all_files, all_tags, truth


def _warts(
    drawn: ReleasePosts, files: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], repeats: int
) -> dict[str, int]:
    """How many rows have each oddity, given the good rows' fields and how many repeats of either kind there are."""
    return {
        "files_quoted_name": sum('"' in fields[2] for fields in files),
        "tags_quoted_tag": sum('"' in fields[2] for fields in tags),
        "tags_id_0": sum(fields[3] == "0" for fields in tags),
        "tags_category_minus_1": sum(fields[4] == "-1" for fields in tags),
        "tags_no_last_field": sum(len(fields) < len(TAGS_COLUMNS) for fields in tags),
        "tags_repeated_next_to_it": repeats,
        "tags_repeated_elsewhere": repeats,
        "files_on_two_boorus": len(drawn.on_second_booru),
        "files_listed_again": len(drawn.listed_again),
    }


def unlisted_needed(posts: int) -> int:
    """How many unlisted posts the defects are made of."""
    return _UNLISTED_KINDS * min(_EACH_DEFECT, posts)


def _files_row(world: World, listing: Listing, release: str, *, quote: bool = False) -> list[str]:
    copyrights, characters, artists = (
        "+".join(_of_category(world, listing, category))
        for category in (Category.COPYRIGHT, Category.CHARACTER, Category.ARTIST)
    )
    site = _SITES.get(listing.booru, listing.booru.rpartition(".")[0])
    title = '"quoted" ' if quote else ""
    return [
        listing.booru,
        str(listing.fid),
        f"{site} - {title}{listing.fid} - {copyrights} ~ {characters} ({artists}).jpg",
        listing.torr_md5,
        "jpg",
        listing.orig_md5,
        str(listing.file_size),
        f"{listing.width}x{listing.height}",
        str(listing.quality),
        f"V{release.upper()}.7x10\\S{listing.fid // 100_000}.zip",
        copyrights,
        characters,
        artists,
    ]


def _tags_rows(world: World, listing: Listing, rng: Random) -> list[list[str]]:
    franchise = next(iter(_of_category(world, listing, Category.COPYRIGHT)), "COPYRIGHT")
    rows = []
    for category in _TAG_ORDER:
        tags = _of_category(world, listing, category)
        rng.shuffle(tags)
        end = [str(category.value), _FRANCHISE.get(category, franchise)]
        rows += [[listing.booru, str(listing.fid), tag, str(world.tag_ids[tag]), *end] for tag in tags]
    return rows


def _of_category(world: World, listing: Listing, category: Category) -> list[str]:
    return sorted(tag for tag in listing.tags if world.categories[tag] is category)


def _bad_files(world: World, unlisted: Sequence[Listing], release: str) -> dict[str, list[bytes]]:
    """Lines of the files file that no post can be read from; their posts' tags are nowhere."""
    rows = [_files_row(world, listing, release) for listing in unlisted]
    each = len(rows) // _UNLISTED_KINDS
    return {
        "files_short_line": [_line(fields[:_SHORT_FILES_LINE]) for fields in rows[:each]],
        "files_bad_fid": [_line([fields[0], _NO_NUMBER, *fields[2:]]) for fields in rows[each : 2 * each]],
        "files_invalid_utf8": [_line(fields).replace(b"~", b"\xe9\xff", 1) for fields in rows[2 * each : 3 * each]],
    }


def _bad_tags(
    world: World, listings: Sequence[Listing], unlisted: Sequence[Listing], rng: Random
) -> dict[str, list[bytes]]:
    """Lines of the tags file that are unusable: three kinds on posts of the release, and rows of unlisted posts."""
    each = len(unlisted) // _UNLISTED_KINDS
    hosts = [[listing.booru, str(listing.fid)] for listing in rng.sample(listings, each)]
    orphans = [_tags_rows(world, listing, rng)[0] for listing in unlisted[3 * each :]]
    return {
        "tags_short_line": [_line([*host, rng.choice(world.tail)]) for host in hosts],
        "tags_empty_tag": [_line([*host, "", "0", "-1", ""]) for host in hosts],
        "tags_invalid_utf8": [_line([*host, "@", "0", "-1", ""]).replace(b"@", _NOT_UTF8) for host in hosts],
        "tags_orphan_row": [_line(fields) for fields in orphans],
    }


def _put_between(groups: list[_Lines], more: list[tuple[int, _Lines]]) -> list[bytes]:
    """The groups' lines in order, each of `more` behind the group whose number stands beside it."""
    behind: dict[int, _Lines] = {}
    for position, lines in more:
        behind.setdefault(position, []).extend(lines)
    return [line for position, group in enumerate(groups) for line in (*group, *behind.get(position, ()))]


def _line(fields: Sequence[str]) -> bytes:
    return "\t".join(fields).encode() + b"\n"
