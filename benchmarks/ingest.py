"""Raw releases to tables, side by side: the origin's sqlite3 recipe, pyarrow.csv reading alone, and `load_release`.

    python -m benchmarks.ingest                             # one release of 250,000 posts: a few minutes
    python -m benchmarks.ingest --releases 6 --rounds 1     # six such, one after another
    python -m benchmarks.ingest --before ../before          # and that of another checkout, `git worktree add ../before`
    python -m benchmarks.ingest --posts 20000 --rounds 1    # a quick look

The release is the first one of `shared/` beside the checkout, or the sample's, written over and over with other ids.
Needs the command-line shell of SQLite and awk (`apt-get install sqlite3 mawk`).
"""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from benchmarks.corpus import record, repeated_release
from benchmarks.frame import MIB, Benchmark, Contender, Outcome, clock

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
.import --skip 1 "|awk -f files{number}.awk '{files}'" files
.import --skip 1 "|grep -v '\"' '{tags}'" tags
"""
ORIGIN_AWK: Final = """
BEGIN { FS = OFS = "\\t" }
!/"/ { $3 = "RELEASE" OFS $3; split($8, size, "x"); $8 = size[1] OFS size[2]; print }
"""


def origin(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The origin's recipe."""
    script = ORIGIN_SCHEMA
    for number, release in enumerate(sorted((world / "raw").iterdir())):
        files, tags = sorted(release.iterdir())
        (workspace / f"files{number}.awk").write_text(ORIGIN_AWK.replace("RELEASE", release.name))
        script += ORIGIN_IMPORT.format(number=number, files=files, tags=tags)
    # Its complaints about repeated rows and missing last fields go to standard error; it keeps on, and so do we.
    with clock() as outcome:
        subprocess.run(["sqlite3", "o.db"], input=script, text=True, cwd=workspace, stderr=subprocess.DEVNULL)
    count = "select (select count(*) from files) + (select count(*) from tags)"
    counted = subprocess.run(["sqlite3", "o.db", count], cwd=workspace, capture_output=True, text=True, check=True)
    outcome.count = int(counted.stdout)
    outcome.figures["database, MiB"] = (workspace / "o.db").stat().st_size / MIB
    return outcome


def floor(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """pyarrow.csv reads both files, and nothing else."""
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=lambda row: "skip")
    with clock() as outcome:
        outcome.count = sum(csv.read_csv(path, parse_options=parse).num_rows for path in world.glob("raw/*/*"))
    return outcome


def ours(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """`load_release` with the full accounting."""
    import pandas  # noqa: F401  (pyarrow imports it at its first numpy array, which takes 0.2 s)

    from booru_pipeline.lake.publish import Staging
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.tag_table.accounting import summarise
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.tag_table.options import TagTableOptions

    releases = find_releases(world / "raw").releases
    tables = [workspace / f"{release.key}.duckdb" for release in releases]
    with clock() as outcome:
        for release, table in zip(releases, tables, strict=True):
            load_release(
                release, table, Staging(workspace / "staging"), TagTableOptions(max_reject_share=1), record(release.key)
            )
    outcome.count = sum(accounting.kept for table in tables for accounting in summarise(table).accounting)
    outcome.figures["database, MiB"] = sum(table.stat().st_size for table in tables) / MIB
    return outcome


def before(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The same with the package of another checkout."""
    for name in [name for name in sys.modules if name.split(".")[0] == "booru_pipeline"]:
        del sys.modules[name]  # `benchmarks.corpus` has some of ours
    sys.path.insert(0, str(Path(options.before).resolve()))
    return ours(world, workspace, options)


def prepare(world: Path, options: Namespace) -> None:
    """Releases of the same lines with other ids: 2021a, 2021b …"""
    for number in range(options.releases):
        repeated_release(world / "raw", options.posts, number)


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="rows",
    prepare=prepare,
    contenders={
        "origin": Contender("the origin's recipe", origin, rounds=1),
        "floor": Contender("pyarrow.csv, reading only", floor),
        **({"before": Contender("load_release before", before)} if {"--before", "--child"} & {*sys.argv} else {}),
        "ours": Contender("load_release", ours),
    },
    options={
        "--posts": {"type": int, "default": 250_000, "help": "of a release, about how many (default %(default)s)"},
        "--releases": {"type": int, "default": 1, "help": "how many (default %(default)s)"},
        "--before": {"help": "another checkout, to compare with"},
    },
    packages=("duckdb", "pyarrow", "numpy"),
)

if __name__ == "__main__":
    BENCHMARK.main()
