"""Writing sample releases to a folder, with the truth about them beside."""

import gzip
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError
from booru_pipeline.sample.listing import ReleasePosts, draw_release, draw_unlisted
from booru_pipeline.sample.own_files import write_own
from booru_pipeline.sample.raw_format import FILES_COLUMNS, TAGS_COLUMNS, ReleaseTruth, render, unlisted_needed
from booru_pipeline.sample.world import World, load_world

TRUTH_NAME: Final = "sample_truth.json"

_RELEASE_KEY = re.compile(r"\d{4}[a-z]+")
_MOST_POSTS = 200_000


def generate(
    folder: Path,
    *,
    releases: Sequence[str] = ("2021a", "2021b"),
    posts: int = 1500,
    seed: int = 0,
    compress: bool = False,
    defects: bool = False,
    replace: bool = False,
) -> list[ReleaseTruth]:
    """Write sample releases, the alias and implication lists, and `sample_truth.json` to a folder.

    The same arguments give the same bytes everywhere. A release depends only on the seed, the number of posts, its key
    and the keys before it, so asking for one more leaves the former ones as they are.

    Args:
        folder: Where to write; made if it is not there. A sample that was written there before is replaced by it, as
            far as its files are as they were written.
        releases: The keys of the releases, oldest first. From the second on, some posts are listed again.
        posts: Posts of each release.
        seed: Another seed gives other posts of the same world.
        compress: Write `.tsv.gz` instead of `.tsv`.
        defects: Put a few unusable lines of each kind between the good ones, which do not change.
        replace: Replace a sample that has more releases or posts, too.

    Returns:
        What was written into each release, in the order of `releases`.

    Raises:
        BooruError: A key or a number is not possible; the folder cannot be written, holds something else than a sample
            in its place, or a larger one. Nothing is written then.
    """
    _check(releases, posts)
    if not replace:
        _check_size(folder, releases, posts)
    world = load_world()
    truths: list[ReleaseTruth] = []
    contents: dict[str, bytes] = {}
    earlier: list[ReleasePosts] = []
    for release in releases:
        drawn = draw_release(world, earlier, posts, seed, release)
        unlisted = draw_unlisted(world, len(earlier), posts, unlisted_needed(posts), seed, release) if defects else ()
        files, tags, truth = render(world, drawn, release, seed, unlisted)
        contents[_name(release, "files", compress=compress)] = _content(FILES_COLUMNS, files, compress=compress)
        contents[_name(release, "tags", compress=compress)] = _content(TAGS_COLUMNS, tags, compress=compress)
        truths.append(truth)
        earlier.append(drawn)
    contents["tag_aliases.json"] = _relations(sorted(world.aliases.items()))
    contents["tag_implications.json"] = _relations(
        sorted((tag, implied) for tag, consequents in world.implications.items() for implied in consequents)
    )
    # Last: where it is, the sample is whole.
    contents[TRUTH_NAME] = _truth_json(world, truths, posts=posts, seed=seed)
    write_own(folder, contents)
    return truths


def _check(releases: Sequence[str], posts: int) -> None:
    if not releases:
        raise BooruError("no release to generate: give at least one key such as 2021a.")
    for release in releases:
        if not _RELEASE_KEY.fullmatch(release):
            raise BooruError(
                f"{release!r} is not a release key: give four digits and a lower-case letter, as in 2021a."
            )
    twice = [release for position, release in enumerate(releases) if release in releases[:position]]
    if twice:
        raise BooruError(f"release {twice[0]} is asked for twice: name each release once.")
    if not 1 <= posts <= _MOST_POSTS:
        raise BooruError(f"cannot generate {posts} posts a release: give a number from 1 to {_MOST_POSTS}.")


def _check_size(folder: Path, releases: Sequence[str], posts: int) -> None:
    """Refuse to make less of the sample that is in the folder, if there is one."""
    try:
        former = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
        keys, former_posts = [str(item["release"]) for item in former["releases"]], int(former["posts"])
    except (OSError, ValueError, TypeError, KeyError):
        return
    if missing := [key for key in keys if key not in releases]:
        less = f"{' and '.join(missing)} would go"
    elif posts < former_posts:
        less = f"{former_posts:,} posts a release would become {posts:,}"
    else:
        return
    raise BooruError(
        f"{folder} has a larger sample: {less}, so nothing was written. Choose another folder with --raw, or add "
        "--replace."
    )


def _name(release: str, table: str, *, compress: bool) -> str:
    return f"Safebooru {release}/V{release.upper()}_{table}.tsv{'.gz' if compress else ''}"


def _content(columns: Sequence[str], lines: Iterable[bytes], *, compress: bool) -> bytes:
    content = "\t".join(columns).encode() + b"\n" + b"".join(lines)
    if not compress:
        return content
    buffer = io.BytesIO()
    # No name and no time in the header: both would differ from run to run.
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as packed:
        packed.write(content)
    return buffer.getvalue()


def _relations(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Aliases or implications as Danbooru exports them, one JSON object a line."""
    return "".join(
        json.dumps({"id": number, "antecedent_name": antecedent, "consequent_name": consequent, "status": "active"})
        + "\n"
        for number, (antecedent, consequent) in enumerate(pairs, start=1)
    ).encode()


def _truth_json(world: World, truths: Sequence[ReleaseTruth], *, posts: int, seed: int) -> bytes:
    truth: dict[str, Any] = {"seed": seed, "posts": posts, "releases": [asdict(truth) for truth in truths]}
    truth["characters"] = {
        character.name: {"copyrights": character.copyrights, "traits": world.chances(character)}
        for character in world.characters
    }
    return json.dumps(truth, indent=1).encode() + b"\n"
