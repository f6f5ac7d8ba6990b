"""Where the time goes from the last byte of a small release to its report, and what of it is not our work.

    python benchmarks/overhead.py                  # 3 drops, some minutes
    python benchmarks/overhead.py --drops 5
    python benchmarks/overhead.py --look-interval 15 --rest 0 --dequeue-interval 5  # as it was at first, before / after

Code server and daemon run as `deploy/compose.yaml` has them, on SQLite. Releases of the sample world are dropped one
after another, at random moments of the sensor's round. Every second from the last byte to the end of the run is in one
row: the rows are cut at the time stamps of Dagster's events and ticks, and at the starts and ends of the processes as
the kernel has them. Imports are told apart by a hook that notes when each process imports what, and taken out of the
rows that they fall into.

Beside it, on the same releases and settings: `booru run` from the shell, and the same functions called one after
another in one process without Dagster.
"""

import argparse
import datetime
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil
from dagster import DagsterEventType
from deployment import QUICK, ROOT, Deployment, wait_for

from booru_pipeline.defs.runs.history import PARTITION
from booru_pipeline.defs.runs.instance import process_of
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate

HERE: Final = Path(__file__).resolve()
MOST_S: Final = 300.0
LEAST_S: Final = 0.1  # for a row of its own
IDLE_S: Final = 60.0
MOMENT_S: Final = 0.02
IMPORTS: Final = "BOORU_BENCHMARK_IMPORTS"

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
        if end - begin > 0.005:
            thread = threading.current_thread() is threading.main_thread()
            with open(os.environ["{IMPORTS}"], "a") as file:
                file.write(f"{{os.getpid()}} {{begin}} {{end}} {{int(thread)}} {{arguments[0]}}\\n")


if "{IMPORTS}" in os.environ:
    builtins.__import__ = _import
'''


# --- One release -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Some seconds.

    Attributes:
        name: What they went into.
        begin: In seconds since 1970.
        end: Likewise; where the next row begins.
        process: Whose imports are to be taken out, or None.
    """

    name: str
    begin: float
    end: float
    process: int | None = None


@dataclass(frozen=True)
class Import:
    """An import that took its time: of which process, from when to when."""

    process: int
    begin: float
    end: float


def read_imports(path: Path) -> list[Import]:
    """What the hook has noted of the main threads: what is imported beside them holds nobody up."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        process, begin, end, is_main, _ = line.split(" ", 4)
        if is_main == "1":
            found.append(Import(int(process), float(begin), float(end)))
    return found


@dataclass
class Processes:
    """What was seen of a release's processes: their numbers, when they began and ended, in seconds since 1970."""

    run: int = 0
    run_began: float = 0
    payload: int = 0
    payload_began: float = 0
    payload_ended: float = 0


def watch(deployment: Deployment, release: str, since: float) -> tuple[dg.RunRecord, Processes]:
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


def rows_of(deployment: Deployment, dropped: float, record: dg.RunRecord, seen: Processes) -> list[Row]:
    """All seconds from the last byte to the end of the run, each in one row."""
    looks = sorted(_looks(deployment, dropped - 60), key=lambda tick: tick.timestamp)
    asked = next(tick for tick in looks if record.dagster_run.run_id in tick.run_ids)
    first = next(tick.timestamp for tick in looks if tick.timestamp > dropped)
    events = [
        (entry.timestamp, entry.dagster_event)
        for entry in deployment.instance.all_logs(record.dagster_run.run_id)
        if entry.dagster_event is not None
    ]
    at = {event.event_type: moment for moment, event in reversed(events)}
    cuts: list[tuple[str, float, int | None]] = [
        ("waiting: for the first look", min(first, asked.timestamp), None),
        ("waiting: until the files have been at rest", asked.timestamp, None),
        ("the look that asks: sensor, run created", at[DagsterEventType.RUN_ENQUEUED], None),
        ("queue: until the daemon's next round", at[DagsterEventType.RUN_STARTING], None),
        ("run's process: launched by daemon and code server", seen.run_began, None),
        ("run's process: start, graph, plan", at[DagsterEventType.RUN_START], seen.run),
    ]
    for moment, event in events:
        step = event.step_key or ""
        if event.event_type is DagsterEventType.STEP_START:
            name = "between steps: plan, resources, event log"
            cuts.append((name, moment, seen.run))
        elif event.event_type is DagsterEventType.STEP_SUCCESS:
            stage = next((stage for stage in Stage if step == stage.value), None)
            if stage is Stage.CHECKPOINT:
                cuts.append((f"{stage.value}: before the payload", seen.payload_began, seen.run))
                cuts.append((f"{stage.value}: the payload's training", seen.payload_ended, seen.payload))
                cuts.append((f"{stage.value}: after the payload", moment, seen.run))
            else:
                cuts.append((stage.value if stage else "checks", moment, seen.run))
    cuts.append(("after the last step", record.end_time or at[DagsterEventType.RUN_SUCCESS], seen.run))
    rows, begin = [], dropped
    for name, end, process in cuts:
        rows.append(Row(name, begin, max(begin, end), process))
        begin = max(begin, end)
    return rows


def _looks(deployment: Deployment, since: float) -> Iterable[Any]:
    for state in deployment.instance.all_instigator_state():
        if state.instigator_name == "new_releases":
            yield from deployment.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)


def seconds_of(rows: Sequence[Row], imports: Sequence[Import], seen: Processes) -> dict[str, float]:
    """Seconds by row, in the order of the rows, with the imports as rows of their own."""
    names = {seen.run: "imports of the run's process", seen.payload: "imports of the payload"}
    seconds: dict[str, float] = defaultdict(float)
    taken: dict[str, float] = defaultdict(float)
    for row in rows:
        inside = sum(
            max(0.0, min(item.end, row.end) - max(item.begin, row.begin))
            for item in imports
            if item.process == row.process
        )
        seconds[row.name] += row.end - row.begin - inside
        if row.process is not None:
            step = f": {row.name}" if row.process == seen.run and inside > LEAST_S else ""
            taken[names[row.process] + step] += inside
    return {**seconds, **taken}


# --- The peers -------------------------------------------------------------------------------------------------------


def library(raw: str, home: str, key: str) -> None:
    """The stages as functions, one after another in this process, with the settings of the environment."""
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.evaluation.evaluate import evaluate
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.publish import staged
    from booru_pipeline.pipeline.settings import Settings
    from booru_pipeline.pipeline.stages import stage_record
    from booru_pipeline.release.find import find_release
    from booru_pipeline.release.fingerprint import release_fingerprint
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.training.finetune import finetune
    from booru_pipeline.training.interruption import Interruption
    from booru_pipeline.training.job import TrainingJob
    from booru_pipeline.training_shards.shards import build_shards
    from booru_pipeline.vocabulary.base_model import resolve_base_model
    from booru_pipeline.vocabulary.build import build_vocabulary

    settings, lake = Settings(), Lake(Path(home))
    release = find_release(Path(raw), key)
    upstream = release_fingerprint(release, lake.raw_fingerprints)
    records = {}
    for stage in Stage:
        records[stage] = stage_record(stage, key, upstream, settings.options(stage))
        upstream = records[stage].key
    relations = settings.tag_relations
    base = resolve_base_model(settings.preset)
    load_release(release, lake.tag_table(key), lake.staging, settings.tag_table, records[Stage.TAG_TABLE])
    shards = lake.training_shards(key)
    build_shards(
        lake.tag_table(key),
        shards,
        lake.staging,
        settings.training_shards,
        records[Stage.TRAINING_SHARDS],
        relations.aliases,
    )
    vocabulary = build_vocabulary(
        {key: shards}, base, lake.vocabulary(key), lake.staging, settings.vocabulary, records[Stage.VOCABULARY]
    )
    dataset = lake.tokenized_dataset(key)
    build_dataset(
        {key: shards},
        vocabulary,
        dataset,
        lake.staging,
        settings.tokenized_dataset,
        records[Stage.TOKENIZED_DATASET],
    )
    with staged(lake.checkpoint(key), lake.staging) as draft:
        job = TrainingJob(
            dataset=dataset,
            vocabulary=lake.vocabulary(key),
            output=draft,
            base_name=base.name,
            base_source=base.source,
            options=settings.checkpoint,
            provenance={"release": key, "releases": {}, "lineage": [key]},
        )
        if finetune(job.write(draft.parent / "job.json"), Interruption()):
            raise SystemExit("the training failed")
        records[Stage.CHECKPOINT].write(draft)
    with staged(lake.evaluation_report(key), lake.staging) as draft:
        evaluate(
            lake.checkpoint(key),
            dataset,
            lake.vocabulary(key),
            draft,
            settings.evaluation_report,
            release=key,
            relations=relations,
        )
        records[Stage.EVALUATION_REPORT].write(draft)


def peer(command: Sequence[str], folder: Path, raw: Path, key: str) -> dict[str, float]:
    """Seconds of a command on a home of its own; of these, of imports in it and what it starts."""
    home, imports = folder / "peer", folder / "peer_imports"
    imports.unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment = {**kept, "BOORU_RAW": str(raw), "BOORU_HOME": str(home), IMPORTS: str(imports)}
    begin = time.time()
    done = subprocess.run([*command, str(home), key], env=environment, cwd=folder, capture_output=True, text=True)
    whole = time.time() - begin
    if done.returncode or not (home / "reports" / key / "report.html").is_file():
        raise SystemExit(f"{command}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    shutil.rmtree(home)
    return {"whole": whole, "imports": sum(item.end - item.begin for item in read_imports(imports))}


SHELL: Final = (
    "import sys; from booru_pipeline.cli import main; sys.argv = ['booru', 'run', '--release', sys.argv[2]]; main()"
)


# --- All of it -------------------------------------------------------------------------------------------------------


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    chance = random.Random(arguments.seed)
    keys = [f"2021{chr(ord('a') + row)}" for row in range(arguments.drops)]
    source = folder / "source"
    generate(source, releases=keys, posts=arguments.posts, seed=arguments.seed)
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(hook), str(ROOT)])
    imports = folder / "imports"
    options = {**QUICK, IMPORTS: str(imports)}
    if arguments.look_interval:
        options["BOORU_AUTOMATION__LOOK_INTERVAL_S"] = str(arguments.look_interval)
    if arguments.rest is not None:
        options["BOORU_AUTOMATION__REST_S"] = str(arguments.rest)
    dagster = (
        {"run_queue": {"dequeue_interval_seconds": arguments.dequeue_interval}} if arguments.dequeue_interval else None
    )
    drops: list[dict[str, float]] = []
    with Deployment(folder, options, dagster) as deployment:
        for file in source.glob("tag_*.json"):
            shutil.copy(file, deployment.raw)
        wait_for(lambda: list(_looks(deployment, 0.0)), MOST_S, "the first look")
        for key in keys:
            time.sleep(chance.uniform(5, 25))
            shutil.copytree(source / f"Safebooru {key}", deployment.raw / f"Safebooru {key}", copy_function=shutil.copy)
            dropped = time.time()
            record, seen = watch(deployment, key, dropped)
            time.sleep(1)
            rows = rows_of(deployment, dropped, record, seen)
            drops.append(seconds_of(rows, read_imports(imports), seen))
            print(f"{key}: {sum(drops[-1].values()):.1f} s", file=sys.stderr, flush=True)
        time.sleep(5)
        begin, computed = time.time(), deployment.cpu_seconds()
        time.sleep(IDLE_S)
        idle = (deployment.cpu_seconds() - computed) / (time.time() - begin)
        looks = [tick.end_timestamp - tick.timestamp for tick in _looks(deployment, begin) if tick.end_timestamp]
    shell = [peer([sys.executable, "-c", SHELL], folder, deployment.raw, keys[0]) for _ in keys]
    plain = [
        peer([sys.executable, str(HERE), "--library", str(deployment.raw)], folder, deployment.raw, keys[0])
        for _ in keys
    ]
    show(drops, shell, plain)
    print(
        f"\nWith nothing to do: {idle:.1%} of a core, {len(looks)} looks in {IDLE_S:.0f} s, "
        f"of {statistics.median(looks):.2f} s each (median)."
    )


WASTE: Final = ("waiting", "the look", "queue", "run's process", "imports", "between", "after the last")


def show(
    drops: Sequence[dict[str, float]],
    shell: Sequence[dict[str, float]],
    plain: Sequence[dict[str, float]],
) -> None:
    """The rows of the drop whose whole is the median, so that they add up, with the spread of each."""
    whole = [sum(drop.values()) for drop in drops]
    middle = drops[sorted(range(len(drops)), key=whole.__getitem__)[len(drops) // 2]]
    total = sum(middle.values())
    print("| | seconds, median drop | share | all drops |\n|---|--:|--:|---|")
    for name in middle:
        every = " ".join(f"{drop.get(name, 0):.1f}" for drop in drops)
        print(f"| {name} | {middle[name]:.1f} | {middle[name] / total:.0%} | {every} |")
    print(f"| whole | {total:.1f} | 100% | {' '.join(f'{item:.1f}' for item in whole)} |")
    waste = sum(seconds for name, seconds in middle.items() if name.startswith(WASTE))
    print(f"| of this not our work | {waste:.1f} | {waste / total:.0%} | |")
    print("\n| the same release | seconds, median | of these imports | all | sensor's times |\n|---|--:|--:|---|--:|")
    for name, runs in (("`booru run`", shell), ("functions in one process, no Dagster", plain)):
        median = statistics.median(run["whole"] for run in runs)
        imports = statistics.median(run["imports"] for run in runs)
        every = " ".join(f"{run['whole']:.1f}" for run in runs)
        print(f"| {name} | {median:.1f} | {imports:.1f} | {every} | {total / median:.2f} |")


def main() -> None:
    if sys.argv[1:2] == ["--library"]:
        library(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=3, help="releases (default 3)")
    parser.add_argument("--posts", type=int, default=400, help="of each (default 400)")
    parser.add_argument("--seed", type=int, default=0, help="of contents and moments (default 0)")
    parser.add_argument("--look-interval", type=int, help="seconds between two looks (default: the settings')")
    parser.add_argument("--rest", type=int, help="seconds that files must have been the same (the settings')")
    parser.add_argument("--dequeue-interval", type=int, help="seconds between the queue's rounds (dagster.yaml's)")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    print(
        f"{datetime.date.today()}. {os.cpu_count()} cores, Python {platform.python_version()}, dagster "
        f"{dg.__version__}, {busy:.1f} other processes running. {arguments.drops} releases of {arguments.posts} posts, "
        f"{QUICK['BOORU_CHECKPOINT__MAX_STEPS']} training steps, --seed {arguments.seed}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder).resolve(), arguments)


if __name__ == "__main__":
    main()
