"""Checkpoints in memory: the one in use, taken anew when another is promoted, and those that somebody asks by name."""

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import duckdb

from booru_pipeline.dataset.inspection import Inspection
from booru_pipeline.errors import BooruError, printable
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.trial import release_part
from booru_pipeline.model.suggest.asking import Asker
from booru_pipeline.model.suggest.post_index import PostIndex
from booru_pipeline.pipeline.opening import open_asker, open_inspector
from booru_pipeline.pipeline.promoted import checkpoint_in_use, read_pointer
from booru_pipeline.pipeline.settings import Settings

_KEPT: Final = 3  # checkpoints in memory: the one in use and two to compare
_LOOK_S: Final = 2.0


class Unknown(BooruError):
    """There is no checkpoint of that name, or no such post."""


class NotThere(BooruError):
    """No checkpoint can be asked at present."""


class Shelf:
    """Keeps what answers. Its methods may be called from any thread.

    What goes wrong on this machine's disk is said on standard error, with its paths: who asks is not told them.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep checkpoints of these settings' home; none is opened yet."""
        self._settings = settings
        self._kept: OrderedDict[str, tuple[str, Asker]] = OrderedDict()  # with when it was made, by name
        self._indexes: OrderedDict[tuple[tuple[str, int], ...], PostIndex] = OrderedDict()
        self._opening, self._inspecting = threading.Lock(), threading.Lock()
        self._in_use = ""
        self._said = ""
        self._ended = threading.Event()

    @property
    def lake(self) -> Lake:
        """The home."""
        return self._settings.lake

    def watch(self) -> None:
        """Open the checkpoint in use, and another as soon as it is that one, until `end`; runs in a thread."""
        while not self._ended.is_set():
            with suppress(BooruError):  # there is none yet
                self._take(checkpoint_in_use(self.lake)[0])
            self._ended.wait(_LOOK_S)

    def _take(self, name: str) -> None:
        """Open a checkpoint and have it in use; if it cannot be read, the former stays."""
        try:
            self._open(name)
            self._in_use, self._said = name, ""
        except (BooruError, OSError) as error:
            self._complain(str(error))

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    def names(self) -> list[tuple[str, bool]]:
        """Checkpoints that can be asked, the newest release first, and whether each is the promoted one."""
        lake = self.lake
        pointer = read_pointer(lake)
        keys = [*reversed(lake.releases_with(lake.checkpoint)), *lake.trials_with(lake.checkpoint)]
        return [(key, pointer is not None and pointer.release == key) for key in keys]

    def get(self, name: str | None = None) -> tuple[str, Asker]:
        """A checkpoint's name and what answers with it: that of a name, or else the one in use.

        Raises:
            Unknown: There is none of that name.
            NotThere: None is open yet, or it cannot be read.
        """
        if name is None:
            kept = self._kept.get(self._in_use)
            if kept is None:
                raise NotThere("no checkpoint is open yet. Ask again soon; `booru run` makes one if there is none.")
            return self._in_use, kept[1]
        there = [key for key, _ in self.names()]
        if name not in there:
            raise Unknown(f"there is no checkpoint {printable(name)[:80]}. There are: {', '.join(there) or 'none'}.")
        try:
            return name, self._open(name)
        except (BooruError, OSError) as error:
            self._complain(str(error))
            raise NotThere(f"the checkpoint of {name} cannot be read. The words of `booru serve` say why.") from error

    def inspect(self, booru: str, fid: int, name: str | None = None) -> Inspection:
        """What became of a post, in the newest dataset, or that of a checkpoint's release; one post at a time.

        Raises:
            Unknown: There is no such post, or no checkpoint of that name.
            NotThere: What was made of the release cannot be read.
        """
        release = self._newest_dataset() if name is None else release_part(self.get(name)[0])
        with self._inspecting:
            try:
                inspector = open_inspector(self._settings, release)
            except (BooruError, OSError) as error:
                self._complain(str(error))
                raise NotThere(f"the posts of {release} cannot be read. The words of `booru serve` say why.") from error
            try:
                return inspector.inspect(*inspector.find([booru, str(fid)]))
            except BooruError as error:
                raise Unknown(str(error)) from error

    def _newest_dataset(self) -> str:
        try:
            return self.lake.newest(self.lake.tokenized_dataset)
        except BooruError as error:
            raise NotThere(str(error)) from error

    def _open(self, name: str) -> Asker:
        with self._opening:
            record = self.lake.record(self.lake.checkpoint(name))
            made = record.made if record else ""
            kept = self._kept.get(name)
            if kept is None or kept[0] != made:
                self._kept[name] = made, open_asker(self._settings, name, self._index)
            self._kept.move_to_end(name)
            others = [key for key in self._kept if key not in (name, self._in_use)]
            for other in others[: max(0, len(self._kept) - _KEPT)]:  # those not asked for longest
                del self._kept[other]
            return self._kept[name][1]

    def _index(self, files: Sequence[str]) -> PostIndex:
        """Of shards; checkpoints of one release share it."""
        key = tuple((file, os.stat(file).st_mtime_ns) for file in files)
        if key not in self._indexes:
            with duckdb.connect() as connection:
                self._indexes[key] = PostIndex.of(connection, files)
            if len(self._indexes) > 1:
                self._indexes.popitem(last=False)
        return self._indexes[key]

    def _complain(self, text: str) -> None:
        if text != self._said:  # once, not every two seconds
            self._said = text
            print(f"booru: {printable(text)}", file=sys.stderr, flush=True)
