"""Files in the raw folder that may be of posts, by name and content: JSON, Parquet and captions."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError
from booru_pipeline.release.content import open_raw

_HEAD_BYTES: Final = 1 << 16
# Danbooru's lists of tags, which are no posts; of a file that cannot be read, the name is all that tells.
_LIST: Final = re.compile(r"(?:tag_aliases|tag_implications|deprecated_tags|tags)(?:[^a-z].*)?", re.IGNORECASE)
_OF_LISTS: Final = frozenset({"antecedent_name", "post_count", "is_deprecated"})
_OF_POSTS: Final = frozenset({"tags", "tag_string", "tag_string_general", "md5", "file", "file_url", "rating"})
# Of an object that is longer than what is looked at.
_SHORT: Final = 4096  # bytes of a text that are looked at
_LONG_NAME: Final = 80  # letters: what is longer is a sentence
_ID: Final = re.compile(rb'"id"\s*:')
_OF_POST: Final = re.compile(rb'"(?:tag_string(?:_[a-z]+)?|md5|file_url|image_width)"\s*:')

_NO_CAPTION: Final = re.compile(
    r"(?:read[-_ ]?me|requirements|licen[cs]e|copying|changelog|credits|notice|robots).*", re.IGNORECASE
)
# kohya's folders: how often a picture is taken, and of what it is; these lie in a folder of pictures.
_OF_PICTURES: Final = re.compile(r"\d+_.*|img|images?", re.IGNORECASE)
_PICTURE: Final = re.compile(r".*\.(?:png|jpe?g|webp|gif|bmp|avif|jxl)", re.IGNORECASE | re.DOTALL)


def holds_posts(path: Path, *, only_posts: bool) -> bool:
    """Whether a JSON file, plain or compressed, is of posts.

    Args:
        path: The file.
        only_posts: Whether it must begin with what is plainly a post. Else it is enough that it does not begin with
            something else: loading says what is wrong with it.
    """
    try:
        stat = path.stat()
    except OSError:
        return False
    if _LIST.fullmatch(path.name):
        return False
    found = _begins_with_post(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return bool(found) if only_posts else found is not False


@lru_cache(maxsize=4096)  # the raw folder is looked through every half a minute
def _begins_with_post(path: Path, *_marks: int) -> bool | None:
    """Whether the first object of a file is a post; None if that cannot be told."""
    try:
        with open_raw(path) as stream:
            head = stream.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except BooruError:
        return None
    if head[:1] not in (b"{", b"["):
        return None
    text = head.decode(errors="replace")
    try:
        value, _ = json.JSONDecoder().raw_decode(text[1:].lstrip() if text[0] == "[" else text)
    except (ValueError, RecursionError):
        # Of a longer object, its names tell; of a broken one, nothing does.
        if len(head) < _HEAD_BYTES - 3:
            return None
        return bool(_ID.search(head) and _OF_POST.search(head))
    return _is_post(value)


def _is_post(value: Any) -> bool | None:
    if not isinstance(value, dict) or _OF_LISTS & value.keys():
        return False
    if "id" in value:
        return True if _OF_POSTS & value.keys() else None
    return isinstance(value.get("posts", value.get("post")), list)


def caption_names(names: list[str]) -> list[str]:
    """The names of files that may be captions, in a folder with these files."""
    return [name for name in names if name.lower().endswith(".txt") and not _NO_CAPTION.fullmatch(name)]


def are_tags(path: Path) -> bool:
    """Whether a text without a picture beside it may be a caption: it begins with short names between commas."""
    try:
        with path.open("rb") as file:
            first = file.read(_SHORT).decode(errors="replace").strip().partition("\n")[0]
    except OSError:
        return True  # loading says what is wrong with it
    return all(len(name) < _LONG_NAME for name in first.split(","))


def has_pictures(names: list[str]) -> bool:
    """Whether a folder with these files holds pictures."""
    return any(map(_PICTURE.fullmatch, names))


def folder_of_captions(folder: Path, top: Path) -> Path:
    """The folder that gives a folder of pictures its name: itself, or one above where it is `10_name` or `img`."""
    while _OF_PICTURES.fullmatch(folder.name) and folder.parent != top:
        folder = folder.parent
    return folder
