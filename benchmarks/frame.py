"""The frame of the benchmarks: contenders in turn, each in a process of its own, for several rounds; then a table.

A process of its own makes a contender's peak memory and CPU seconds its own; taking turns makes a noisy machine noisy
for all. Compare ratios within a table, not seconds between tables.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
MIB: Final = 1 << 20


@dataclass
class Outcome:
    """Figures of one run of a contender.

    Attributes:
        seconds: On the clock, without Python's start and imports.
        count: Of the benchmark's unit that were worked on in that time.
        figures: Others by name, each a column of the table.
        cpu: Processor seconds of all its processes and threads, start and imports included; the frame takes them.
        peak: Memory of its largest process, in bytes; likewise.
    """

    seconds: float = 0.0
    count: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True)
class Contender:
    """A program that takes part.

    Attributes:
        title: In the table.
        run: Is given the world, an empty folder and the options; imports first, then works against the clock.
        rounds: At most.
    """

    title: str
    run: Callable[[Path, Path, argparse.Namespace], Outcome]
    rounds: int = 1000


@dataclass(frozen=True)
class Benchmark:
    """A question and who answers it.

    Attributes:
        about: The module's docstring, which is also the help.
        unit: Of what is counted, in the plural.
        prepare: Makes the data in a folder, the world, in a process of its own.
        contenders: By name; rates are compared with the first one's.
        options: Command line options as `argparse` takes them, by name; contenders also find the `round` there, from 0.
        packages: Whose versions matter.
        rounds: Of each contender, if nothing is said.
    """

    about: str
    unit: str
    prepare: Callable[[Path, argparse.Namespace], None]
    contenders: Mapping[str, Contender]
    options: Mapping[str, Mapping[str, Any]]
    packages: Sequence[str]
    rounds: int = 3

    def main(self) -> None:
        """Run it as the command line says."""
        if sys.argv[1:2] == ["--child"]:
            self._child(*sys.argv[2:])
            return
        parser = argparse.ArgumentParser(description=self.about, formatter_class=argparse.RawDescriptionHelpFormatter)
        for name, settings in self.options.items():
            parser.add_argument(name, **settings)
        parser.add_argument("--rounds", type=int, default=self.rounds, help="of each contender (default %(default)s)")
        parser.add_argument("--only", nargs="+", choices=list(self.contenders), help="some contenders (default: all)")
        options = parser.parse_args()
        chosen = [name for name in self.contenders if not options.only or name in options.only]
        print(f"{machine(*self.packages)}\n`{' '.join(['python -m', _module(), *sys.argv[1:]])}`\n", flush=True)
        outcomes: dict[str, list[Outcome]] = {name: [] for name in chosen}
        with tempfile.TemporaryDirectory() as folder:
            world = Path(folder) / "world"
            world.mkdir()
            self._measure("prepare", world, options)
            for number in range(options.rounds):
                for name, done in outcomes.items():
                    options.round = number
                    if number < self.contenders[name].rounds:
                        done.append(self._measure(name, world, options))
                        print(f"round {number + 1}, {name}: {done[-1]}", file=sys.stderr, flush=True)
        self._show(outcomes)

    def _child(self, name: str, world: str, workspace: str, content: str) -> None:
        options = argparse.Namespace(**json.loads(content))
        if name == "prepare":
            self.prepare(Path(world), options)
            outcome = Outcome()
        else:
            outcome = self.contenders[name].run(Path(world), Path(workspace), options)
        (Path(workspace) / "outcome.json").write_text(json.dumps(asdict(outcome)))
        sys.stdout.flush()
        os._exit(0)  # DuckDB's binding prints pages at the usual exit

    def _measure(self, name: str, world: Path, options: argparse.Namespace) -> Outcome:
        with tempfile.TemporaryDirectory(dir=world.parent) as workspace:
            arguments = ["--child", name, str(world), workspace, json.dumps(vars(options))]
            process = subprocess.Popen([sys.executable, "-m", _module(), *arguments], cwd=ROOT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{name} failed with exit status {process.returncode}")
            outcome = Outcome(**json.loads((Path(workspace) / "outcome.json").read_text()))
            outcome.cpu, outcome.peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10
            return outcome

    def _show(self, outcomes: Mapping[str, list[Outcome]]) -> None:
        rates = {name: statistics.median(one.count / one.seconds for one in done) for name, done in outcomes.items()}
        first = next(iter(rates))
        extra = list(dict.fromkeys(figure for done in outcomes.values() for one in done for figure in one.figures))
        head = ["", "seconds, median", "all", "CPU seconds", f"{self.unit} a second", f"{first} times"]
        rows = []
        for name, done in outcomes.items():
            row = [
                self.contenders[name].title,
                f"{statistics.median(one.seconds for one in done):.2f}",
                " ".join(f"{one.seconds:.2f}" for one in done),
                f"{statistics.median(one.cpu for one in done):.1f}",
                f"{rates[name]:,.4g}" if rates[name] < 100 else f"{rates[name]:,.0f}",
                f"{rates[name] / rates[first]:,.2f}",
                f"{max(one.peak for one in done) / MIB:,.0f}",
            ]
            for figure in extra:
                values = [one.figures[figure] for one in done if figure in one.figures]
                row.append(f"{statistics.median(values):,.4g}" if values else "")
            rows.append(row)
        show([*head, "peak memory, MiB", *extra], rows)


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as Markdown."""
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def machine(*packages: str) -> str:
    """Date, machine, versions and how busy it is, in a line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    about = [f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Python {platform.python_version()}", *versions]
    return f"{datetime.date.today()}. {', '.join(about)}, {os.getloadavg()[0]:.1f} other processes running."


@contextmanager
def clock() -> Iterator[Outcome]:
    """An outcome whose seconds are those of the block."""
    outcome, begin = Outcome(), time.perf_counter()
    yield outcome
    outcome.seconds = time.perf_counter() - begin


def _module() -> str:
    """As Python was given it with -m."""
    return str(sys.modules["__main__"].__spec__.name)  # type: ignore[union-attr]
