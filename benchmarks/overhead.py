"""Where the time goes from the last byte of a small release to its report, and what of it is not our work.

    python -m benchmarks.overhead                          # 3 drops, some minutes
    python -m benchmarks.overhead --drops 1 --posts 200    # a quick look

Code server and daemon run as `deploy/compose.yaml` has them, on SQLite. Releases of the sample world are dropped one
after another, at random moments of the sensor's round. Every second from the last byte to the end of the run is in one
row: the rows are cut at the time stamps of Dagster's events and ticks, and at the starts and ends of the processes as
the kernel has them. Imports are told apart by a hook that notes when each process imports what, and taken out of the
rows that they fall into. Beside it, on the same release and settings: `booru run` from the shell.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
from dagster import DagsterEventType

from benchmarks.deployment import QUICK, Deployment, wait_for
from benchmarks.frame import ROOT, machine, show
from booru_pipeline.defs.runs.history import PARTITION
from booru_pipeline.defs.runs.process import process_of
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate

MOST_S: Final = 300.0
LEAST_S: Final = 0.1  # for a row of its own
IDLE_S: Final = 60.0
MOMENT_S: Final = 0.02
IMPORTS: Final = "BOORU_BENCHMARK_IMPORTS"
# Rows that begin so are not our work.
WASTE: Final = ("waiting", "the scan", "queue", "run's process", "imports", "between", "after the last")
SHELL: Final = "import sys; from booru_pipeline.cli import main; sys.argv = ['booru', 'run', '--release', '{}']; main()"

# Python runs this at each start. An import of an import counts with the outermost one.
HOOK: Final = f'''
import builtins, os, threading, time

_plain, _state = builtins.__import__, threading.local()


def _import(*arguments, **named):
    if getattr(_state, "inside", False):
        return _plain(*arguments, **named)
    _state.inside = True
    begin = time.time()
    try:
        return _plain(*arguments, **named)
    finally:
        _state.inside = False
        end = time.time()
        if end - begin > 0.005 and threading.current_thread() is threading.main_thread():
            with open(os.environ["{IMPORTS}"], "a") as file:
                file.write(f"{{os.getpid()}} {{begin}} {{end}} {{arguments[0]}}\\n")


if "{IMPORTS}" in os.environ:
    builtins.__import__ = _import
'''


@dataclass(frozen=True)
class Import:
    """An import that took its time and held up a process's main thread: of which process, from when to when."""

    process: int
    begin: float
    end: float


def read_imports(path: Path) -> list[Import]:
    """Read the hook's notes."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = [line.split(" ", 3) for line in lines]
    return [Import(int(process), float(begin), float(end)) for process, begin, end, _ in found]


@dataclass
class Processes:
    """A release's processes as they were seen: their numbers, when they began and ended, in seconds since 1970."""

    run: int = 0
    run_began: float = 0
    payload: int = 0
    payload_began: float = 0
    payload_ended: float = 0


def watch(deployment: Deployment, release: str) -> tuple[dg.RunRecord, Processes]:
    """Wait for the release's run to end."""
    seen = Processes()
    payload: psutil.Process | None = None
    until = time.monotonic() + MOST_S
    while time.monotonic() < until:
        time.sleep(MOMENT_S)
        if payload is None:
            with suppress(psutil.Error):
                for process in deployment.payloads():
                    payload, seen.payload, seen.payload_began = process, process.pid, process.create_time()
        elif not seen.payload_ended:
            with suppress(psutil.Error):
                if payload.is_running() and payload.status() != psutil.STATUS_ZOMBIE:
                    continue
            seen.payload_ended = time.time()
        records = deployment.instance.get_run_records(dg.RunsFilter(tags={PARTITION: release}), limit=1)
        if records and not seen.run and (process := process_of(records[0].dagster_run)):
            seen.run, seen.run_began = process.pid, process.create_time()
        if records and records[0].dagster_run.is_finished:
            if records[0].dagster_run.status is not dg.DagsterRunStatus.SUCCESS:
                raise SystemExit(f"the run of {release} did not succeed")
            return records[0], seen
    raise SystemExit(f"no report of {release} within {MOST_S:.0f} s")


Cut = tuple[
    str, float, int | None
]  # what the seconds until then went into, and the process whose imports are taken out


def cuts_of(deployment: Deployment, dropped: float, record: dg.RunRecord, seen: Processes) -> list[Cut]:
    """Where the seconds from the last byte to the end of the run are cut."""
    scans = sorted(deployment.scans(dropped - 60), key=lambda tick: tick.timestamp)
    asked = next(tick.timestamp for tick in scans if record.dagster_run.run_id in tick.run_ids)
    first = next(tick.timestamp for tick in scans if tick.timestamp > dropped)
    events = [
        (entry.timestamp, entry.dagster_event)
        for entry in deployment.instance.all_logs(record.dagster_run.run_id)
        if entry.dagster_event is not None
    ]
    at = {event.event_type: moment for moment, event in reversed(events)}
    cuts: list[Cut] = [
        ("waiting: for the first scan", min(first, asked), None),
        ("waiting: until the files are stable", asked, None),
        ("the scan that asks: sensor, run created", at[DagsterEventType.RUN_ENQUEUED], None),
        ("queue: until the daemon's next round", at[DagsterEventType.RUN_STARTING], None),
        ("run's process: launched by daemon and code server", seen.run_began, None),
        ("run's process: start, graph, plan", at[DagsterEventType.RUN_START], seen.run),
    ]
    for moment, event in events:
        stage = next((stage for stage in Stage if event.step_key == stage.value), None)
        if event.event_type is DagsterEventType.STEP_START:
            cuts.append(("between steps: plan, resources, event log", moment, seen.run))
        elif event.event_type is DagsterEventType.STEP_SUCCESS and stage is Stage.CHECKPOINT:
            cuts.append((f"{stage.value}: before the payload", seen.payload_began, seen.run))
            cuts.append((f"{stage.value}: the payload's training", seen.payload_ended, seen.payload))
            cuts.append((f"{stage.value}: after the payload", moment, seen.run))
        elif event.event_type is DagsterEventType.STEP_SUCCESS:
            cuts.append((stage.value if stage else "checks", moment, seen.run))
    return [*cuts, ("after the last step", record.end_time or at[DagsterEventType.RUN_SUCCESS], seen.run)]


def seconds_of(dropped: float, cuts: Sequence[Cut], imports: Sequence[Import], seen: Processes) -> dict[str, float]:
    """Seconds by row, with the imports as rows of their own."""
    names = {seen.run: "imports of the run's process", seen.payload: "imports of the payload"}
    seconds: dict[str, float] = defaultdict(float)
    taken: dict[str, float] = defaultdict(float)
    begin = dropped
    for name, moment, process in cuts:
        end = max(begin, moment)
        within = [min(item.end, end) - max(item.begin, begin) for item in imports if item.process == process]
        inside = sum(part for part in within if part > 0)
        seconds[name] += end - begin - inside
        if process is not None:
            taken[names[process] + (f": {name}" if process == seen.run and inside > LEAST_S else "")] += inside
        begin = end
    return {**seconds, **taken}


def shell_run(folder: Path, raw: Path, release: str) -> tuple[float, float]:
    """Seconds of `booru run` on a home of its own; of these, of imports in it and in what it starts."""
    home, imports = folder / "shell", folder / "shell_imports"
    imports.unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment = {**kept, "BOORU_RAW": str(raw), "BOORU_HOME": str(home), IMPORTS: str(imports)}
    command = [sys.executable, "-c", SHELL.format(release)]
    begin = time.time()
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    whole = time.time() - begin
    if done.returncode or not (home / "reports" / release / "report.html").is_file():
        raise SystemExit(f"booru run: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    shutil.rmtree(home)
    return whole, sum(item.end - item.begin for item in read_imports(imports))


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Drop the releases, then let the services idle, then run from the shell; print all of it."""
    chance = random.Random(arguments.seed)
    keys = [f"2021{chr(ord('a') + row)}" for row in range(arguments.drops)]
    source, hook, imports = folder / "source", folder / "hook", folder / "imports"
    generate(source, releases=keys, posts=arguments.posts, seed=arguments.seed)
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(hook), str(ROOT)])
    drops: list[dict[str, float]] = []
    with Deployment(folder, {**QUICK, IMPORTS: str(imports)}) as deployment:
        for file in source.glob("tag_*.json"):
            shutil.copy(file, deployment.raw)
        wait_for(lambda: deployment.scans(0.0), MOST_S, "the first scan")
        for key in keys:
            time.sleep(chance.uniform(5, 25))
            shutil.copytree(source / f"Safebooru {key}", deployment.raw / f"Safebooru {key}", copy_function=shutil.copy)
            dropped = time.time()
            record, seen = watch(deployment, key)
            time.sleep(1)
            drops.append(seconds_of(dropped, cuts_of(deployment, dropped, record, seen), read_imports(imports), seen))
            print(f"{key}: {sum(drops[-1].values()):.1f} s", file=sys.stderr, flush=True)
        time.sleep(5)
        begin, computed = time.time(), deployment.cpu_seconds()
        time.sleep(IDLE_S)
        idle = (deployment.cpu_seconds() - computed) / (time.time() - begin)
        scans = [tick.end_timestamp - tick.timestamp for tick in deployment.scans(begin) if tick.end_timestamp]
    show_drops(drops)
    shell = sorted(shell_run(folder, deployment.raw, keys[0]) for _ in keys)
    whole, imported = shell[len(shell) // 2]
    print(
        f"\n`booru run` on the same release: {whole:.1f} s, {imported:.1f} of them imports (median; all: "
        f"{' '.join(f'{seconds:.1f}' for seconds, _ in shell)}).\n\nWith nothing to do: {idle:.1%} of a core, "
        f"{len(scans)} scans in {IDLE_S:.0f} s, of {statistics.median(scans):.2f} s each (median)."
    )


def show_drops(drops: Sequence[dict[str, float]]) -> None:
    """The rows of the drop whose whole is the median, so that they add up, with the spread of each."""
    whole = [sum(drop.values()) for drop in drops]
    middle = drops[sorted(range(len(drops)), key=whole.__getitem__)[len(drops) // 2]]
    total = sum(middle.values())
    rows = [
        [name, f"{seconds:.1f}", f"{seconds / total:.0%}", " ".join(f"{drop.get(name, 0):.1f}" for drop in drops)]
        for name, seconds in middle.items()
    ]
    waste = sum(seconds for name, seconds in middle.items() if name.startswith(WASTE))
    rows.append(["whole", f"{total:.1f}", "100%", " ".join(f"{seconds:.1f}" for seconds in whole)])
    rows.append(["of this not our work", f"{waste:.1f}", f"{waste / total:.0%}", ""])
    show(["", "seconds, median drop", "share", "all drops"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=3, help="releases (default 3)")
    parser.add_argument("--posts", type=int, default=400, help="of each (default 400)")
    parser.add_argument("--seed", type=int, default=0, help="of contents and moments (default 0)")
    arguments = parser.parse_args()
    print(f"{machine('dagster')} {' '.join(f'--{name} {value}' for name, value in vars(arguments).items())}\n")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder).resolve(), arguments)


if __name__ == "__main__":
    main()
