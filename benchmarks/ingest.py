"""Raw release to table, side by side: the origin's sqlite3 recipe, pyarrow.csv reading alone, and `load_release`.

    python benchmarks/ingest.py                          # one release of 250,000 posts, 3 runs each: a minute or two
    python benchmarks/ingest.py --posts 20000            # a quick look
    python benchmarks/ingest.py --releases 6             # six of them, and what follows: ten minutes

Each contender runs in a process of its own, so that its peak memory is its own. The contenders take turns, so that a
noisy machine is noisy for all. Needs the command-line shell of SQLite (`apt-get install sqlite3`).
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve()
KEYS: Final = ["2019a", "2019b", "2020a", "2020b", "2021a", "2021b"]
MIB: Final = 1 << 20
_OUTCOME: Final = "outcome.json"

# The origin's tables, keys and indexes, made before its data is imported, as its README does. Its foreign key is not
# enforced: SQLite's default.
ORIGIN_SCHEMA: Final = """
.mode tabs
create table files(booru text not null, fid integer not null, shard text not null, file_name text not null,
  torr_md5 text, orig_ext text, orig_md5 text, file_size integer, img_width_torr integer, img_height_torr integer,
  jq text, torr_path text, tags_copyr text, tags_char text, tags_artist text, primary key (booru, fid));
create index files_file_name on files(file_name);
create table tags(booru text, fid integer, tag text, tag_id integer, tag_cat integer, danb_fr text,
  primary key (booru, fid, tag), foreign key (booru, fid) references files on delete cascade);
create index tags_tag on tags(tag);
create index tags_tag_cat on tags(tag_cat);
"""
# Lines with a double quote are dropped; the shard becomes the third column, and the size is split in two.
ORIGIN_IMPORT: Final = r"""
.import --skip 1 "|awk -f {awk} '{files}'" files
.import --skip 1 "|grep -v '\"' '{tags}'" tags
"""
ORIGIN_AWK: Final = """
BEGIN { FS = OFS = "\\t" }
!/"/ { $3 = "Safebooru KEY" OFS $3; split($8, size, "x"); $8 = size[1] OFS size[2]; print }
"""


# --- The data --------------------------------------------------------------------------------------------------------


def write_release(folder: Path, key: str, posts: int) -> None:
    """Write a release's two TSV files. The same key and size give the same bytes.

    Sizes are the origin's: some 19 tags a post and 47 bytes a tag row. Tags are drawn by popularity, which falls as in
    the releases (Zipf-Mandelbrot: the first tag on most posts, the hundredth on 4 %, a long tail). A few rows have the
    releases' warts: quotes, category -1, number 0, a missing last field, repeated rows.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng([posts, KEYS.index(key)])
    names, categories, numbers, popularity = _world(np)

    per_post = np.clip(rng.normal(20.7, 7, posts), 4, None).astype(np.int64)
    post = np.repeat(np.arange(posts), per_post)
    tag = np.searchsorted(np.cumsum(popularity), rng.random(len(post)) * popularity.sum())
    pairs = np.unique(post * len(names) + tag)
    post, tag = pairs // len(names), pairs % len(names)  # a post has a tag once
    tag = tag[np.argsort(post + rng.random(len(post)))]

    booru_names = np.array(
        ["chan.sankakucomplex.com", "danbooru.donmai.us", "safebooru.org", "www.zerochan.net", "yande.re"]
    )
    booru = booru_names[np.searchsorted([0.05, 0.17, 0.7, 0.85, 1.0], np.sort(rng.random(posts)))]
    fid = 3_000_000 + 5_000_000 * KEYS.index(key) + np.arange(posts) * 8 + rng.integers(0, 8, posts)

    def text(values: Any) -> Any:
        return pa.array(values).cast(pa.string())

    def join(*columns: Any) -> Any:
        return pc.binary_join_element_wise(*columns, "\t")

    franchise = np.array(["GENERAL", "ARTIST", "", "COPYRIGHT", "CHARACTER", "META"])[categories]
    of_tag = join(
        pa.array(names),
        text(np.where(rng.random(len(names)) < 0.3, 0, numbers)),
        text(np.where(np.arange(len(names)) % 499 == 7, -1, categories)),
    )
    of_post = join(text(booru), text(fid))
    tag_lines = join(of_post.take(pa.array(post)), of_tag.take(pa.array(tag)), pa.array(franchise).take(pa.array(tag)))
    short = rng.random(len(tag_lines)) < 0.0005
    tag_lines = pc.if_else(pa.array(short), pc.replace_substring_regex(tag_lines, r"\t[A-Z]*$", ""), tag_lines)
    repeats = np.sort(np.r_[np.arange(len(tag_lines)), rng.integers(0, len(tag_lines), len(tag_lines) // 1000)])

    def digests() -> Any:
        return pa.array([raw.hex() for raw in _chunks(rng.bytes(16 * posts), 16)])

    def named(category: int) -> Any:
        """A name of that category for each post."""
        of_category = np.flatnonzero(categories == category)
        return pa.array(names[of_category[(rng.pareto(0.7, posts) * 20).astype(np.int64) % len(of_category)]])

    copyrights, characters, artists = named(3), named(4), named(1)
    quote = pc.if_else(pa.array(rng.random(posts) < 0.003), '"quoted" ', "")
    file_name = pc.binary_join_element_wise(
        text(booru), " - ", quote, text(fid), " - ", copyrights, " ~ ", characters, " (", artists, ").jpg", ""
    )
    size = pc.binary_join_element_wise(text(rng.integers(700, 2400, posts)), text(rng.integers(700, 2600, posts)), "x")
    path = pc.binary_join_element_wise(f"V{key.upper()}.7x10\\S", text(fid // 100_000), ".zip", "")
    file_lines = join(
        *[
            of_post,
            file_name,
            digests(),
            pa.array(["jpg"] * posts),
            digests(),
            text(rng.integers(90_000, 4_000_000, posts)),
        ],
        *[size, text(rng.integers(85, 99, posts)), path, copyrights, characters, artists],
    )

    from booru_pipeline.sample import raw_format

    target = folder / f"Safebooru {key}"
    target.mkdir(parents=True)
    _write(target / f"V{key.upper()}_files.tsv", raw_format.FILES_COLUMNS, [file_lines])
    pieces = [tag_lines.take(pa.array(piece)) for piece in np.array_split(repeats, 16)]
    _write(target / f"V{key.upper()}_tags.tsv", raw_format.TAGS_COLUMNS, pieces)


def _world(np: Any) -> tuple[Any, Any, Any, Any]:
    """Tags as (name, category, number, popularity); the same for every release."""
    rng = np.random.default_rng(2021)
    count = 80_000
    syllables = [
        "ka",
        "shi",
        "mo",
        "ru",
        "ta",
        "ne",
        "ha",
        "yu",
        "ri",
        "so",
        "blue",
        "long",
        "hair",
        "eyes",
        "hand",
        "on",
    ]
    picks = rng.integers(0, len(syllables), (count, 5))
    length = rng.integers(1, 4, count)
    rank = np.arange(count)
    names = [
        "".join(syllables[pick] + ("_" if at == 0 else "") for at, pick in enumerate(row[:size])) + f"{number:x}"
        for row, size, number in zip(picks.tolist(), length.tolist(), rank.tolist(), strict=True)
    ]
    for at in range(300, count, 900):
        names[at] = f'"{names[at]}"'
    categories = np.where(
        rank < 1000,
        rng.choice([0, 3, 4, 5], count, p=[0.86, 0.04, 0.04, 0.06]),
        rng.choice([0, 1, 3, 4, 5], count, p=[0.35, 0.36, 0.05, 0.23, 0.01]),
    )
    return np.array(names), categories, rng.integers(1, 2_000_000, count), 1 / (rank + 4.0) ** 1.08


def _chunks(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def _write(path: Path, columns: tuple[str, ...], pieces: list[Any]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    with path.open("wb") as file:
        file.write("\t".join(columns).encode() + b"\n")
        for piece in pieces:
            lines = pc.binary_join_element_wise(piece, "", "\n")
            assert isinstance(lines, pa.StringArray)
            assert lines.offset == 0
            file.write(memoryview(lines.buffers()[2])[: sum(pc.binary_length(lines).to_numpy())])


# --- The contenders, each in a process of its own --------------------------------------------------------------------
# Each imports what it needs, then takes the time of the work alone.


def run_origin(raw: Path, keys: list[str], workspace: Path) -> dict[str, Any]:
    """The origin's recipe: the releases into one database, in turn."""
    script = ORIGIN_SCHEMA
    for key in keys:
        folder = raw / f"Safebooru {key}"
        (workspace / f"{key}.awk").write_text(ORIGIN_AWK.replace("KEY", key))
        files, tags = folder / f"V{key.upper()}_files.tsv", folder / f"V{key.upper()}_tags.tsv"
        script += ORIGIN_IMPORT.format(awk=f"{key}.awk", files=files, tags=tags)
    begin = time.perf_counter()
    # Its complaints about repeated rows and missing last fields go to standard error; it keeps on, and so do we.
    subprocess.run(["sqlite3", "o.db"], input=script, text=True, cwd=workspace, stderr=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - begin
    count = "select (select count(*) from files), (select count(*) from tags)"
    counted = subprocess.run(["sqlite3", "o.db", count], cwd=workspace, capture_output=True, text=True, check=True)
    rows = sum(map(int, counted.stdout.split("|")))
    return {"seconds": seconds, "rows": rows, "bytes": (workspace / "o.db").stat().st_size}


def run_floor(raw: Path, keys: list[str], workspace: Path) -> dict[str, Any]:
    """pyarrow.csv reads both files, and nothing else."""
    from pyarrow import csv

    begin = time.perf_counter()
    options = csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=lambda row: "skip")
    rows = 0
    for key in keys:
        for path in sorted((raw / f"Safebooru {key}").iterdir()):
            rows += csv.read_csv(path, parse_options=options).num_rows
    return {"seconds": time.perf_counter() - begin, "rows": rows}


def run_ours(raw: Path, keys: list[str], workspace: Path) -> dict[str, Any]:
    """`load_release` with the full accounting, the releases in turn."""
    import pandas  # noqa: F401  (pyarrow imports it at its first numpy array, which takes 0.2 s)

    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.record import Record
    from booru_pipeline.release.find import find_release
    from booru_pipeline.tag_table.load import load_release, summarise
    from booru_pipeline.tag_table.options import TagTableOptions

    lake = Lake(workspace)
    begin = time.perf_counter()
    for key in keys:
        record = Record(stage="tag_table", release=key, key=key)
        load_release(find_release(raw, key), lake.tag_table(key), lake.staging, TagTableOptions(), record)
    seconds = time.perf_counter() - begin
    tables = [lake.tag_table(key) for key in keys]
    rows = sum(accounting.kept for table in tables for accounting in summarise(table).accounting)
    return {"seconds": seconds, "rows": rows, "bytes": sum(table.stat().st_size for table in tables)}


def run_profile(raw: Path, keys: list[str], workspace: Path) -> dict[str, Any]:
    """The same, with the seconds of each step."""
    from booru_pipeline import sql
    from booru_pipeline.tag_table import load

    steps: dict[str, float] = {}

    def timed(module: Any, name: str, step: Any) -> None:
        function = getattr(module, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            steps[step(args)] = steps.get(step(args), 0.0) + time.perf_counter() - begin
            return result

        setattr(module, name, wrapper)

    timed(sql, "run", lambda args: f"{args[2]}.sql")
    timed(sql, "table", lambda args: f"{args[2]}.sql")
    timed(load, "read_lines", lambda args: f"read_lines of the {args[0].stem.split('_')[-1]} file")
    timed(load.Record, "write_table", lambda args: "record")
    timed(load, "_suspects", lambda args: "sort of the key hashes (numpy)")
    result = run_ours(raw, keys, workspace)
    return {
        **result,
        "steps": {step: took for step, took in steps.items() if not step.startswith(("key_violations", "sample"))},
    }


def run_chain(raw: Path, keys: list[str], workspace: Path) -> dict[str, Any]:
    """Load, shards and vocabulary of each release in turn; a vocabulary is made over all releases so far."""
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.record import Record
    from booru_pipeline.release.find import find_release
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.tag_table.options import TagTableOptions
    from booru_pipeline.training_shards.options import ShardOptions
    from booru_pipeline.training_shards.shards import build_shards
    from booru_pipeline.vocabulary import tokenizer  # noqa: F401  (imports transformers, which takes seconds)
    from booru_pipeline.vocabulary.base_model import TINY, resolve_base_model
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    lake = Lake(workspace)
    tiny = resolve_base_model(TINY)
    tags = 0
    steps = dict.fromkeys(["load", "shards", "vocabulary", "earlier vocabularies"], 0.0)
    for key in keys:
        shards = lake.training_shards(key)
        marks = [time.perf_counter()]
        record = Record(stage="tag_table", release=key, key=key)
        load_release(find_release(raw, key), lake.tag_table(key), lake.staging, TagTableOptions(), record)
        marks.append(time.perf_counter())
        record = Record(stage="training_shards", release=key, key=key)
        tags += build_shards(lake.tag_table(key), shards, lake.staging, ShardOptions(), record).tags
        marks.append(time.perf_counter())
        record = Record(stage="vocabulary", release=key, key=key)
        so_far = {one: lake.training_shards(one) for one in lake.releases_with(lake.training_shards)}
        build_vocabulary(so_far, tiny, lake.vocabulary(key), lake.staging, VocabularyOptions(), record)
        marks.append(time.perf_counter())
        last = "vocabulary" if key == keys[-1] else "earlier vocabularies"
        for step, begin, end in zip(["load", "shards", last], marks, marks[1:], strict=False):
            steps[step] += end - begin
    return {"seconds": sum(steps.values()), "rows": tags, "steps": steps}


CONTENDERS: Final = {
    "origin": run_origin,
    "floor": run_floor,
    "ours": run_ours,
    "profile": run_profile,
    "chain": run_chain,
}


@dataclass(frozen=True)
class Outcome:
    """What one run of a contender took.

    Attributes:
        seconds: On the clock, without Python's start and imports.
        rows: In the tables.
        cpu: Processor seconds of all its processes and threads, start and imports included: the less noisy measure.
        peak: Memory of its largest process, in bytes.
        bytes: The database's size.
        steps: Seconds by step.
    """

    seconds: float
    rows: int
    cpu: float
    peak: int
    bytes: int = 0
    steps: dict[str, float] = field(default_factory=dict)


def measure(contender: str, raw: Path, keys: list[str]) -> Outcome:
    """Run a contender in a fresh process and a fresh folder beside the releases."""
    with tempfile.TemporaryDirectory(dir=raw.parent) as workspace:
        process = subprocess.Popen([sys.executable, str(HERE), "--child", contender, str(raw), workspace, *keys])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{contender} failed with exit status {process.returncode}")
        cpu = usage.ru_utime + usage.ru_stime
        return Outcome(cpu=cpu, peak=usage.ru_maxrss << 10, **json.loads((Path(workspace) / _OUTCOME).read_text()))


def child(contender: str, raw: str, workspace: str, *keys: str) -> None:
    """What a contender's own process does."""
    if contender == "generate":
        for key in keys:
            write_release(Path(raw), key, int(workspace))
    else:
        result = CONTENDERS[contender](Path(raw), list(keys), Path(workspace))
        (Path(workspace) / _OUTCOME).write_text(json.dumps(result))


# --- The comparison --------------------------------------------------------------------------------------------------


def compare(raw: Path, keys: list[str], runs: int, origin_runs: int) -> None:
    """The three contenders in turn, `runs` times, and where our time goes."""
    outcomes: dict[str, list[Outcome]] = {"origin": [], "floor": [], "ours": []}
    for run in range(runs):
        for contender, done in outcomes.items():
            if contender != "origin" or run < origin_runs:
                done.append(measure(contender, raw, keys))
    seconds = {name: statistics.median(run.seconds for run in done) for name, done in outcomes.items() if done}
    names = {"origin": "(a) the origin's recipe", "floor": "(b) pyarrow.csv, reading only", "ours": "(c) load_release"}
    print("| | seconds, median | seconds, all | CPU seconds | rows a second | peak memory, MiB | database, MiB |")
    print("|---|--:|---|--:|--:|--:|--:|")
    for name in seconds:
        done = outcomes[name]
        every = " ".join(f"{run.seconds:.2f}" for run in done)
        cpu = statistics.median(run.cpu for run in done)
        rate = done[0].rows / seconds[name]
        peak = max(run.peak for run in done) / MIB
        size = f"{done[0].bytes / MIB:,.0f}" if done[0].bytes else ""
        print(f"| {names[name]} | {seconds[name]:.2f} | {every} | {cpu:.1f} | {rate:,.0f} | {peak:,.0f} | {size} |")
    print()
    if "origin" in seconds:
        size = outcomes["ours"][0].bytes / outcomes["origin"][0].bytes
        print(f"(a)/(c) = {seconds['origin'] / seconds['ours']:.1f}; our database is {size:.0%} of the origin's.")
    print(f"(c)/(b) = {seconds['ours'] / seconds['floor']:.2f}\n")


def profile(raw: Path, key: str, runs: int) -> None:
    """Our seconds by step, medians."""
    done = [measure("profile", raw, [key]) for _ in range(runs)]
    total = statistics.median(run.seconds for run in done)
    print("| step of load_release | seconds | share |\n|---|--:|--:|")
    steps = {step: statistics.median(run.steps[step] for run in done) for step in done[0].steps}
    for step, seconds in sorted(steps.items(), key=lambda item: -item[1]):
        if seconds >= 0.01:
            print(f"| {step} | {seconds:.2f} | {seconds / total:.0%} |")
    print(f"| all | {total:.2f} | |")
    print("\nThe tags file is read while the files file is loaded, so that the steps add up to more than all.\n")


def growth(raw: Path, keys: list[str]) -> None:
    """Six releases against one: peak memory of the load, and time a row of load, shards and vocabulary."""
    memory = [measure("ours", raw, keys[:count]).peak / MIB for count in (1, len(keys))]
    print(f"Peak memory of the load: one release {memory[0]:,.0f} MiB, {len(keys)} in turn {memory[1]:,.0f} MiB.\n")
    print("| microseconds a tag row | load | shards | vocabulary | all three | earlier vocabularies | CPU, all |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    costs: dict[int, list[list[float]]] = {1: [], len(keys): []}
    for count in (1, len(keys), 1):  # one release before and after, since others use the machine too
        outcome = measure("chain", raw, keys[:count])
        *cost, earlier = [seconds / outcome.rows * 1e6 for seconds in outcome.steps.values()]
        row = [*cost, sum(cost), earlier, outcome.cpu / outcome.rows * 1e6]
        costs[count].append(row)
        print(f"| {count} release(s) | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    one = statistics.mean(row[3] for row in costs[1])
    [(*_, many, earlier, _)] = costs[len(keys)]
    print(
        f"\nTime a row, {len(keys)} releases to one: {many / one:.2f} for the set's tables, shards and vocabulary; "
        f"{(many + earlier) / one:.2f} with a vocabulary for each release on the way."
    )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=250_000, help="posts a release (default: the true scale)")
    parser.add_argument("--releases", type=int, default=1, choices=range(1, 7), help="releases (default 1)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3)")
    parser.add_argument("--origin-runs", type=int, default=1, help="runs of the origin's recipe (default 1)")
    arguments = parser.parse_args()
    if arguments.origin_runs and not (shutil.which("sqlite3") and shutil.which("awk")):
        raise SystemExit("needs the command-line shell of SQLite and awk: apt-get install sqlite3 mawk")

    busy = os.getloadavg()[0]
    keys = KEYS[: arguments.releases]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        command = [sys.executable, str(HERE), "--child", "generate", str(raw), str(arguments.posts), *keys]
        subprocess.run(command, check=True)
        size = sum(path.stat().st_size for path in raw.rglob("*.tsv"))
        print(f"{datetime.date.today()}, {len(keys)} release(s) of {arguments.posts:,} posts, {size / 1e6:,.0f} MB.")
        print(f"{_machine()}, {busy:.1f} other processes running.\n")
        if len(keys) == 1:
            compare(raw, keys, arguments.runs, arguments.origin_runs)
            profile(raw, keys[0], arguments.runs)
        else:
            compare(raw, keys, 1, arguments.origin_runs)
            growth(raw, keys)


def _machine() -> str:
    import importlib.metadata

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    sqlite = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True).stdout.split(" ")[0]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("duckdb", "pyarrow", "numpy")]
    parts = [f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Python {platform.python_version()}", *versions]
    return ", ".join([*parts, f"SQLite {sqlite}"])


if __name__ == "__main__":
    main()
