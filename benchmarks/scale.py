"""All stages at a size of your choice: seconds, rows a second, peak memory; before and after in one run.

    python -m benchmarks.scale                                          # 250,000 posts in one release, to the audit
    python -m benchmarks.scale --posts 1500000 --releases 6             # the size that this is made for
    python -m benchmarks.scale --posts 10000000 --releases 6 --tags 30 --to tokenized_dataset
    python -m benchmarks.scale --posts 1500000 --releases 6 --before COMMIT

Releases of a large world (see `benchmarks.soak.large_world`) are made, then each stage of all releases by `booru run`,
in a process of its own, whose peak memory is the stage's. The newest release alone is trained, evaluated and audited.
With `--before` the same is done on the same releases by another commit of this repository, stage by stage in turn.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from benchmarks.frame import MIB, ROOT, machine, show
from benchmarks.soak.large_world import ROWS
from booru_pipeline.pipeline.stages import Stage

_STAGES: Final = Stage.CHECKPOINT.before()  # of all releases; the others are made of the newest
_LINE: Final = re.compile(r"^(?P<release>\S+)  (?P<stage>\w+) in (?P<seconds>[\d.]+) s(?P<figures>.*)$", re.MULTILINE)
_SPEED: Final = re.compile(r"([\d,.]+) posts/s")
_BOORU: Final = "import sys; from booru_pipeline.cli import main; sys.exit(main())"


@dataclass
class Made:
    """What making a stage took.

    Attributes:
        seconds: By release, in order, as `booru run` says them.
        figures: What it says beside.
        peak: Of the process, in bytes.
        own: The same as far as it was seen, twenty times a second, without pages of files that are mapped: those
            the system takes back when it needs them.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    figures: str = ""
    peak: int = 0
    own: int = 0


@dataclass(frozen=True)
class Side:
    """A commit that takes part: its name in the table, its checkout, and its home."""

    name: str
    checkout: Path
    home: Path

    def make(self, raw: Path, stage: Stage, release: str | None, time_limit: int) -> Made:
        """Make a stage of one release, or of all."""
        options = ["--release", release, "--time-limit", str(time_limit)] if release else []
        command = [sys.executable, "-c", _BOORU, "run", "--to", stage.value, *options]
        places = {"BOORU_RAW": str(raw), "BOORU_HOME": str(self.home), "PYTHONPATH": str(self.checkout)}
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, cwd=self.checkout, env={**os.environ, **places, "COLUMNS": "10000"}, stdout=output
            )
            with watched(process.pid) as seen:
                _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            said = output.read()
        if process.returncode:
            raise SystemExit(f"{stage.value} of {self.name} failed with exit status {process.returncode}:\n{said}")
        made = Made(peak=usage.ru_maxrss << 10, own=max(seen, default=0))
        for found in _LINE.finditer(said):
            if found["stage"] == stage.value:
                made.seconds[found["release"]] = float(found["seconds"])
                made.figures = found["figures"]
        print(f"{stage.value}, {self.name}: {made}", file=sys.stderr, flush=True)
        return made


@contextmanager
def watched(process: int) -> Iterator[list[int]]:
    """Bytes of memory that no file is mapped to, of a process or the largest that it started, again and again."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            with suppress(psutil.Error):  # one has ended
                first = psutil.Process(process)
                memories = [one.memory_info() for one in (first, *first.children(recursive=True))]
                seen.append(max(memory.rss - memory.shared for memory in memories))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@contextmanager
def checkout_of(commit: str, folder: Path) -> Iterator[Path]:
    """A checkout of another commit, for the time of the block."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, commit], cwd=ROOT, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=True)


def make_world(raw: Path, posts: int, releases: int, tags: int) -> None:
    """Write the releases, in a process of its own: a child of this one is counted with the memory that this one has."""
    numbers = ["--posts", str(posts), "--releases", str(releases), "--tags", str(tags)]
    command = [sys.executable, "-m", "benchmarks.soak.large_world", str(raw), *numbers]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def measure(sides: list[Side], raw: Path, rows: dict[str, int], last: Stage, time_limit: int) -> None:
    """Make the stages up to `last` and print the table."""
    lines: list[list[str]] = []
    stages = list(Stage)
    for stage in stages[: stages.index(last) + 1]:
        trained = stage not in _STAGES
        first = None
        for side in sides:
            made = side.make(raw, stage, list(rows)[-1] if trained else None, time_limit)
            total = sum(made.seconds.values())
            first = first or total
            speed = _SPEED.search(made.figures)
            rate = f"{speed[1]} posts" if speed else "" if trained else f"{sum(rows.values()) / total:,.0f} tag rows"
            each = " ".join(f"{seconds:.1f}" for seconds in made.seconds.values())
            memory = f"{made.peak / MIB:,.0f}", f"{made.own / MIB:,.0f}"
            lines.append([stage.value, side.name, f"{total:,.1f}", each, rate, *memory, f"{first / total:.2f}"])
    head = [
        "stage",
        "",
        "seconds",
        "of each release",
        "a second",
        "peak, MiB",
        "without files",
        f"{sides[0].name} times",
    ]
    show(head, lines)


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=250_000, help="of all releases (default %(default)s)")
    parser.add_argument("--releases", type=int, default=1, help="default %(default)s")
    parser.add_argument("--tags", type=int, default=24, help="of a post, about (default %(default)s)")
    parser.add_argument("--to", type=Stage, default=Stage.TAG_AUDIT, help="last stage (default %(default)s)")
    parser.add_argument("--time-limit", type=int, default=60, help="of the training, seconds (default %(default)s)")
    parser.add_argument("--world", type=Path, help="folder to keep the releases in, or where they are")
    parser.add_argument("--before", metavar="COMMIT", help="another commit to compare with")
    given = parser.parse_args()
    print(
        f"{machine('duckdb', 'pyarrow', 'torch')}\n`python -m benchmarks.scale {' '.join(sys.argv[1:])}`\n", flush=True
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw: Path = given.world or folder / "raw"
        if not (raw / ROWS).exists():
            make_world(raw, given.posts, given.releases, given.tags)
        rows = json.loads((raw / ROWS).read_text())
        print(f"{given.posts:,} posts, {sum(rows.values()):,} tag rows, {given.releases} releases\n", flush=True)
        now = Side("now", ROOT, folder / "home")
        if given.before is None:
            measure([now], raw, rows, given.to, given.time_limit)
        else:
            with checkout_of(given.before, folder / "before") as checkout:
                sides = [Side("before", checkout, folder / "home_before"), now]
                measure(sides, raw, rows, given.to, given.time_limit)


if __name__ == "__main__":
    main()
