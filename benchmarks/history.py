"""What a long history of runs costs, before and after `booru clean` has shortened it.

    python -m benchmarks.history               # 1,000 runs, some minutes
    python -m benchmarks.history --runs 50     # a quick look

Two releases of the sample world are loaded. Then one stage of each is made again and again, each time in a run of its
own, by Dagster's `execute_in_process`. That is done in memory (`/dev/shm`, if it is there), by a process a release, and
the home is copied to the disk to be measured. A run of a whole chain writes more events than these of one stage.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil

from benchmarks.frame import MIB, machine, show
from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.console import steps_unseen
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.runs.process import process_tag
from booru_pipeline.defs.shell import make_plan, run_plan
from booru_pipeline.pipeline.retention import size_of
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate

BOORU: Final = Path(sys.executable).with_name("booru")
MEMORY: Final = Path("/dev/shm")
STAGE: Final = Stage.TRAINING_SHARDS
SETTLED_S: Final = 20.0
RELEASES: Final = ["2021a", "2021b"]
PORT: Final = 3471
# What the page of runs and the catalog ask for first.
PAGES: Final = {
    "runs": "{ runsOrError(limit: 30) { ... on Runs { results { id status startTime endTime tags { key value } } } } }",
    "catalog": "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId timestamp } "
    "partitionStats { numMaterialized numFailed } } }",
}


def load(raw: Path, home: Path) -> None:
    """Make the stage of both releases for the first time."""
    settings = load_settings(raw=raw, home=home)
    run_plan(settings, make_plan(settings, [], STAGE), print)


def make_again(raw: Path, home: Path, release: str, number: int) -> None:
    """Make the stage of a release as often as asked for, each time in a run of its own."""
    settings = load_settings(raw=raw, home=home)
    job = build_defs(settings).resolve_job_def("load_only").get_subset(asset_selection={dg.AssetKey(STAGE.value)})
    config = {**run_config(settings), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    begin = time.monotonic()
    with open_instance(settings.lake) as instance, steps_unseen():
        for row in range(1, number + 1):
            done = job.execute_in_process(
                instance=instance, partition_key=release, run_config=config, tags=process_tag()
            )
            if not done.success:
                raise SystemExit(f"run {done.run_id} did not succeed")
            if row % 50 == 0:
                print(f"{release}: {row} runs in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def measure(home: Path, environment: dict[str, str]) -> list[str]:
    """A row: runs, MB of the history, seconds of `booru status`, and of `booru dev` its start, pages and memory."""
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        runs = instance.get_runs_count()
    size = size_of(home / "dagster")
    status = statistics.median(seconds_of([BOORU, "status"], environment) for _ in range(3))
    begin = time.monotonic()
    server = subprocess.Popen(
        [BOORU, "dev", "--port", str(PORT)], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout
    for line in server.stdout:
        if line.startswith("the UI:"):
            break
    else:
        raise SystemExit("booru dev did not start")
    started = time.monotonic() - begin
    pages = {name: ask(query) for name, query in PAGES.items()}
    time.sleep(SETTLED_S)
    memory = memory_of(server.pid)
    server.terminate()
    server.communicate()
    times = [f"{seconds:.2f}" for seconds in pages.values()]
    return [f"{runs:,}", f"{size / MIB:,.1f}", f"{status:.1f}", f"{started:.1f}", *times, f"{memory / MIB:,.0f}"]


def seconds_of(command: Sequence[Any], environment: dict[str, str]) -> float:
    begin = time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.monotonic() - begin


def ask(query: str) -> float:
    """Seconds until the web server has answered; the median of 3."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    times = []
    for _ in range(3):
        begin = time.monotonic()
        with urllib.request.urlopen(request, timeout=120) as response:
            if "errors" in (answer := json.load(response)):
                raise SystemExit(str(answer["errors"]))
        times.append(time.monotonic() - begin)
    return statistics.median(times)


def memory_of(pid: int) -> int:
    """Bytes of a process and of all that it started, what they share counted once."""
    total = 0
    server = psutil.Process(pid)
    for process in [server, *server.children(recursive=True)]:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def compare(folder: Path, number: int) -> None:
    """Measure a home without a history to speak of, with one, and cleaned."""
    raw, home = folder / "raw", folder / "home"
    generate(raw, releases=RELEASES, posts=30, seed=0)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOORU_", "DAGSTER_"))}
    # The sensor finds everything made as far as it may be: nothing but the history is at work.
    environment = {**kept, "BOORU_RAW": str(raw), "BOORU_HOME": str(home), "BOORU_REPORTS_URL": "http://reports:1"}
    environment["BOORU_AUTOMATION__REST_S"] = "100000"
    rows = []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as fast:
        made = Path(fast) / "home"
        load(raw, made)
        shutil.copytree(made, home)
        rows.append(["two runs", *measure(home, environment)])
        shutil.rmtree(home)
        with ProcessPoolExecutor(len(RELEASES), multiprocessing.get_context("spawn")) as pool:
            for done in [pool.submit(make_again, raw, made, key, number // len(RELEASES)) for key in RELEASES]:
                done.result()
        shutil.copytree(made, home)
    rows.append([f"{number:,} more", *measure(home, environment)])
    cleaned = {**environment, "BOORU_RETENTION__HISTORY_DAYS": "0"}
    seconds = seconds_of([BOORU, "clean", "--yes"], cleaned)
    rows.append(["after `booru clean --yes`, history_days = 0", *measure(home, environment)])
    head = ["", "runs", "history, MiB", "`booru status`, s", "`booru dev` to the UI, s"]
    show([*head, "page of runs, s", "catalog, s", "memory (PSS), MiB"], rows)
    print(f"\n`booru clean --yes` took {seconds:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="of one stage (default 1000)")
    arguments = parser.parse_args()
    print(f"{machine('dagster')} --runs {arguments.runs}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder).resolve(), arguments.runs)
    sys.stdout.flush()
    os._exit(0)  # DuckDB's binding prints pages at the usual exit


if __name__ == "__main__":
    main()
