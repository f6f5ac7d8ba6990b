"""Writing sample releases to a folder, with the truth about them beside."""

import gzip
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError
from booru_pipeline.sample.listing import ReleasePosts, draw_release, draw_unlisted
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
) -> list[ReleaseTruth]:
    """Write sample releases, the alias and implication lists, and `sample_truth.json` to a folder.

    The same arguments give the same bytes everywhere. A release depends only on the seed, the number of posts, its key
    and the keys before it, so asking for one more leaves the former ones as they are.

    Args:
        folder: Where to write; made if it is not there. Samples written there before are replaced.
        releases: The keys of the releases, oldest first. From the second on, some posts are listed again.
        posts: Posts of each release.
        seed: Another seed gives other posts of the same world.
        compress: Write `.tsv.gz` instead of `.tsv`.
        defects: Put a few unusable lines of each kind between the good ones, which do not change.

    Returns:
        What was written into each release, in the order of `releases`.

    Raises:
        BooruError: A key or a number is not possible, the folder cannot be written, or it holds releases that are not
            samples.
    """
    _check(releases, posts)
    world = load_world()
    truths: list[ReleaseTruth] = []
    contents: dict[Path, bytes] = {}
    earlier: list[ReleasePosts] = []
    for release in releases:
        drawn = draw_release(world, earlier, posts, seed, release)
        unlisted = draw_unlisted(world, len(earlier), posts, unlisted_needed(posts), seed, release) if defects else ()
        files, tags, truth = render(world, drawn, release, seed, unlisted)
        files_path, tags_path = _paths(folder, release, compress=compress)
        contents[files_path] = _content(FILES_COLUMNS, files, compress=compress)
        contents[tags_path] = _content(TAGS_COLUMNS, tags, compress=compress)
        truths.append(truth)
        earlier.append(drawn)
    contents[folder / "tag_aliases.json"] = _relations(sorted(world.aliases.items()))
    contents[folder / "tag_implications.json"] = _relations(
        sorted((tag, implied) for tag, consequents in world.implications.items() for implied in consequents)
    )
    # The truth goes first: its presence is what marks the folder as one that a later call may write to again.
    contents = {folder / TRUTH_NAME: _truth_json(world, truths, posts=posts, seed=seed)} | contents
    _write(folder, releases, contents, compress=compress)
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


def _paths(folder: Path, release: str, *, compress: bool) -> tuple[Path, Path]:
    """The release's files file and tags file."""
    stem = folder / f"Safebooru {release}" / f"V{release.upper()}"
    ending = ".tsv.gz" if compress else ".tsv"
    return Path(f"{stem}_files{ending}"), Path(f"{stem}_tags{ending}")


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


def _write(folder: Path, releases: Sequence[str], contents: Mapping[Path, bytes], *, compress: bool) -> None:
    # The other form of a release written before would be a second copy of it.
    former = [path for release in releases for path in _paths(folder, release, compress=not compress)]
    if not (folder / TRUTH_NAME).exists():
        strangers = [path for path in (*contents, *former) if path.exists()]
        if strangers:
            raise BooruError(
                f"{strangers[0]} is there already and not a sample ({TRUTH_NAME} is missing): choose another folder."
            )
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.part")
            try:
                draft.write_bytes(content)
                os.replace(draft, path)
            finally:
                draft.unlink(missing_ok=True)
        for path in former:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise BooruError(
            f"cannot write {error.filename}: {error.strerror}. Choose a folder that can be written."
        ) from error
