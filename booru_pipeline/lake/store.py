"""Artifacts in an object store, or in any other place that fsspec knows: each whole under its name, or not at all.

An artifact's files lie under `NAME/VERSION/`, where NAME is its path in the home (`shards/2021a`) and VERSION is the
upload's own. `current/NAME.json`, one object, says which version is the artifact, with the size and the SHA-256 of each
file. It is written last: an upload that was interrupted leaves files that nothing names.
"""

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fsspec
from pydantic import BaseModel, Field

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.hashing import sha256_of
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.progress import step

_CURRENT: Final = "current"
_DRAFTS: Final = "drafts"
_VERSION_TIME: Final = "%Y%m%dT%H%M%SZ"
_VERSION_FOLDER: Final = re.compile(r".+?/(\d{8}T\d{6}Z)-[^/]+")  # of an artifact, or a pointer's draft
_LISTING_S: Final = 2.0  # a scan of all releases asks for dozens of records at once
_WAITS_S: Final = (2.0, 10.0, 30.0)  # between attempts to upload what may have cost hours


class StoreError(BooruError):
    """The store did not take or give something. The message names it and the remedy."""


class Stored(BaseModel, frozen=True):
    """An artifact in the store, as its pointer describes it.

    Attributes:
        name: The artifact's path in the home, such as `shards/2021a`.
        version: Of the upload: when it began, and a random part.
        is_folder: Whether it is a folder, or one file.
        files: Size in bytes and SHA-256 by path in the folder; a file has one, under its own name.
        record: What the artifact was made from; None for a note such as `promoted.json`.
        signature: What the listing says of the pointer: another one after each upload.
    """

    name: str
    version: str
    is_folder: bool
    files: dict[str, tuple[int, str]]
    record: Record | None
    signature: str = Field("", exclude=True)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(size for size, _ in self.files.values())

    @property
    def uploaded(self) -> datetime:
        """When its upload began."""
        return _time(self.version.partition("-")[0])

    def is_copy(self, path: Path) -> bool:
        """Whether a file here has the same content."""
        return path.is_file() and [sha256_of(path)] == [sha256 for _, sha256 in self.files.values()]


@dataclass(frozen=True)
class Upload:
    """Files that nothing names: what an interrupted upload left, or of one that is under way.

    Attributes:
        path: In the store, `shards/2021a/VERSION`.
        begun: When the upload began.
        bytes: Of all files.
    """

    path: str
    begun: datetime
    bytes: int


class Store:
    """A place for artifacts.

    Args:
        url: Where, as fsspec has it: `s3://bucket/folder`, `gs://…`, `file:///mnt/share`.
        options: fsspec's storage options for it, such as `endpoint_url`.
        waits_s: Seconds between attempts at an upload.

    Raises:
        StoreError: There is no such kind of place, or the package for it is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any], waits_s: Sequence[float] = _WAITS_S) -> None:
        self.url = url.rstrip("/")
        self._waits_s = waits_s
        try:
            self._fs, self._root = fsspec.url_to_fs(self.url, **options)
        except ImportError as error:
            raise StoreError(
                f"the store {url} needs a package that is not installed: {error}. For s3:// install booru-pipeline[s3]."
            ) from error
        except Exception as error:  # each kind of file system raises its own
            raise StoreError(f"{url} cannot be a store: {error}. Correct url and options under [store].") from error
        self._listed_at = -_LISTING_S
        self._listed: dict[str, Stored] = {}

    def listing(self) -> Mapping[str, Stored]:
        """Artifacts by name; at most two seconds old, but for what this process changed.

        Raises:
            StoreError: The store cannot be read.
        """
        if time.monotonic() - self._listed_at < _LISTING_S:
            return self._listed
        folder = f"{self._root}/{_CURRENT}"
        with self._named("read"):
            listed = {}
            for path, info in self._find(folder).items():
                name = path.removeprefix(f"{folder}/").removesuffix(".json")
                stored, signature = self._listed.get(name), _signature(info)
                if stored is None or stored.signature != signature:
                    stored = self._read(name, signature)
                if stored is not None:
                    listed[name] = stored
        self._listed, self._listed_at = listed, time.monotonic()
        return listed

    def publish(self, draft: Path, name: str) -> Stored:
        """Upload a finished artifact, and then have its name, which is its path in the home, mean it.

        Raises:
            StoreError: It was not uploaded; what the store had under the name is untouched.
        """
        version = f"{datetime.now(UTC).strftime(_VERSION_TIME)}-{secrets.token_hex(4)}"
        paths = {path.relative_to(draft).as_posix(): path for path in sorted(draft.rglob("*")) if path.is_file()}
        if not draft.is_dir():
            paths = {draft.name: draft}
        files = {file: (path.stat().st_size, sha256_of(path)) for file, path in paths.items()}
        stored = Stored(name=name, version=version, is_folder=draft.is_dir(), files=files, record=read_record(draft))
        with self._named(f"take {name}"):
            former = self._read(name)
            self._upload(paths, self._folder(stored))
            self._check_sizes(stored)
            self._point(stored)
            self._listed_at = -_LISTING_S
        if former is not None:
            with suppress(Exception):  # the new version is published: `booru clean` removes what is left of the former
                self._remove_version(former)
        return stored

    def fetch(self, name: str, draft: Path) -> None:
        """Download an artifact to a path that is not there yet.

        Raises:
            StoreError: It is not there, it cannot be read, or what came is not what was uploaded.
        """
        with self._named(f"give {name}"):
            stored = self._present(name)
            try:
                self._download(stored, draft)
            except FileNotFoundError:  # another version was published meanwhile, and this one removed
                stored = self._present(name)
                self._download(stored, draft)
        for file, (size, sha256) in stored.files.items():
            path = draft / file if stored.is_folder else draft
            if path.stat().st_size != size or sha256_of(path) != sha256:
                raise StoreError(
                    f"{self._folder(stored)}/{file} is not what was uploaded: its SHA-256 is another. "
                    f"Take it out with `booru store remove {name}`, and the next run makes it again."
                )

    def read(self, name: str, file: str) -> bytes | None:
        """One file of an artifact that is a folder, or None if it is not there."""
        stored = self.listing().get(name)
        if stored is None or file not in stored.files:
            return None
        with self._named(f"give {name}"):
            content: bytes = self._fs.cat_file(f"{self._folder(stored)}/{file}")
        return content

    def remove(self, name: str) -> None:
        """Remove an artifact: its name first, so that nobody finds half of it.

        Raises:
            StoreError: It cannot be removed.
        """
        with self._named(f"remove {name}"):
            stored = self._read(name)
            if stored is not None:
                self._fs.rm_file(self._pointer(name))
                self._listed_at = -_LISTING_S
                self._remove_version(stored)

    def url_of(self, name: str) -> str | None:
        """Where the files of an artifact are, for other tools; None if it is not there."""
        stored = self.listing().get(name)
        return f"{self.url}/{stored.name}/{stored.version}" if stored else None

    def uploads(self) -> list[Upload]:
        """Uploads that nothing names, the oldest first."""
        named = {f"{stored.name}/{stored.version}" for stored in self.listing().values()}
        sizes: Counter[tuple[str, str]] = Counter()
        with self._named("read"):
            found = self._find(self._root)
        for path, info in found.items():
            match = _VERSION_FOLDER.match(path.removeprefix(f"{self._root}/"))
            if match and match[0] not in named:
                sizes[match[0], match[1]] += info.get("size") or 0
        uploads = [Upload(path, _time(begun), size) for (path, begun), size in sizes.items()]
        return sorted(uploads, key=lambda upload: upload.begun)

    def remove_upload(self, path: str) -> None:
        """Remove files that nothing names, by `Upload.path`."""
        with self._named(f"remove {path}"):
            self._fs.rm(f"{self._root}/{path}", recursive=True)

    def _present(self, name: str) -> Stored:
        stored = self._read(name)
        if stored is None:
            raise StoreError(f"{name} is no longer in {self.url}. Run it again, and it is made.")
        return stored

    def _download(self, stored: Stored, draft: Path) -> None:
        targets = {file: draft / file if stored.is_folder else draft for file in stored.files}
        for parent in {target.parent for target in targets.values()}:
            parent.mkdir(parents=True, exist_ok=True)
        folder = self._folder(stored)
        sources = [f"{folder}/{file}" for file in targets]
        moved = _Moved()
        with step(f"fetching {stored.name} from the store", measure=moved.share_of(stored.bytes)):
            self._fs.get(sources, [str(path) for path in targets.values()], callback=moved)

    def _pointer(self, name: str) -> str:
        return f"{self._root}/{_CURRENT}/{name}.json"

    def _folder(self, stored: Stored) -> str:
        return f"{self._root}/{stored.name}/{stored.version}"

    def _read(self, name: str, signature: str = "") -> Stored | None:
        """The pointer as it is now."""
        try:
            content = self._fs.cat_file(self._pointer(name))
        except FileNotFoundError:
            return None
        return Stored.model_validate_json(content).model_copy(update={"signature": signature})

    def _point(self, stored: Stored) -> None:
        """Write the pointer in one step: on a file system by a rename, in an object store every write is one step."""
        pointer, draft = self._pointer(stored.name), f"{self._root}/{_DRAFTS}/{stored.version}.json"
        self._make_folders({pointer, draft})
        self._fs.pipe_file(draft, stored.model_dump_json(indent=1).encode())
        self._fs.mv(draft, pointer)

    def _upload(self, paths: Mapping[str, Path], folder: str) -> None:
        self._make_folders({f"{folder}/{file}" for file in paths})
        targets = [f"{folder}/{file}" for file in paths]
        size = sum(path.stat().st_size for path in paths.values())
        for wait_s in (*self._waits_s, None):
            try:
                moved = _Moved()
                with step(f"sending {folder[len(self._root) + 1 :]} to the store", measure=moved.share_of(size)):
                    self._fs.put([str(path) for path in paths.values()], targets, callback=moved)
                return
            except (PermissionError, FileNotFoundError):  # nothing that waiting mends
                raise
            except Exception:  # each kind of file system raises its own
                if wait_s is None:
                    raise
                time.sleep(wait_s)

    def _make_folders(self, paths: Collection[str]) -> None:
        """Make the folders of files, where there are folders: an object store would make a bucket instead."""
        if self._root.startswith("/"):
            for folder in {path.rpartition("/")[0] for path in paths}:
                self._fs.makedirs(folder, exist_ok=True)

    def _check_sizes(self, stored: Stored) -> None:
        folder = self._folder(stored)
        found = {path.removeprefix(f"{folder}/"): info["size"] for path, info in self._find(folder).items()}
        wrong = [file for file, (size, _) in stored.files.items() if found.get(file) != size]
        if wrong:
            raise StoreError(f"{folder}/{wrong[0]} has not come whole into the store. Try again.")

    def _find(self, folder: str) -> Mapping[str, Mapping[str, Any]]:
        """The place's description of each file at or below a folder, by path."""
        self._fs.invalidate_cache()
        try:
            found: Mapping[str, Mapping[str, Any]] = self._fs.find(folder, detail=True)
        except FileNotFoundError:
            return {}
        return found

    def _remove_version(self, stored: Stored) -> None:
        with suppress(FileNotFoundError):  # another writer of the name has removed it
            self._fs.rm(self._folder(stored), recursive=True)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Have errors say which store it is and what to do."""
        try:
            yield
        except BooruError:
            raise
        except Exception as error:  # each kind of file system raises its own
            raise StoreError(
                f"the store {self.url} did not {what}: {first_line(error)}. Look at [store] in booru.toml and at the "
                "credentials (for s3://: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), then try again."
            ) from error


class _Moved(fsspec.Callback):
    """Counts what has moved: the whole counts files, and each has a callback of its own for its bytes.

    A folder's own kind of store counts files alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._files: list[fsspec.Callback] = []

    def branched(self, *_: str, **__: Any) -> fsspec.Callback:
        self._files.append(fsspec.Callback())
        return self._files[-1]

    def share_of(self, size: int) -> Callable[[], float]:
        """Gives the share that has moved of so many bytes, or of the files."""
        return lambda: sum(file.value for file in self._files) / max(size, 1) or self.value / (self.size or 1)


@lru_cache(maxsize=8)
def _open(url: str, options: str) -> Store:
    return Store(url, json.loads(options))


def open_store(url: str, options: Mapping[str, Any]) -> Store | None:
    """The store of that URL, the same one each time; None if the URL is empty.

    Raises:
        StoreError: There is no such kind of place, or the package for it is not installed.
    """
    return _open(url, json.dumps(options, sort_keys=True)) if url else None


def _signature(info: Mapping[str, Any]) -> str:
    """Changes when the pointer does, by whatever the kind of file system tells."""
    return "|".join(str(info.get(part)) for part in ("ETag", "etag", "mtime", "ino", "LastModified", "updated", "size"))


def _time(begun: str) -> datetime:
    return datetime.strptime(begun, _VERSION_TIME).replace(tzinfo=UTC)
