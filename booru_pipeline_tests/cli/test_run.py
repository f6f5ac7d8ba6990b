"""`booru run`: what it makes again and what not, bad input, and kills in the middle."""

import json
import shutil
import subprocess
import time

import dagster as dg
import duckdb
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.runs.instance import existing_instance, open_instance
from booru_pipeline.defs.runs.process import process_tag
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment


def test_running_again_does_nothing_and_says_so(workplace):
    places = [stage.path(Lake(workplace / "booru_home"), "2021a") for stage in Stage]
    before = [path.stat().st_mtime_ns for path in places]
    result = booru(workplace, "run")
    assert result.returncode == 0
    assert "2021a  nothing to do" in result.stdout
    assert [path.stat().st_mtime_ns for path in places] == before


def test_a_dry_run_says_what_and_why_and_makes_nothing(workplace):
    result = booru(workplace, "run", "--dry-run", BOORU_TOKENIZED_DATASET__MIN_TOKENS="6")
    assert "tokenized_dataset is stale: min_tokens was 4, is 6" in result.stdout
    assert "vocabulary" not in result.stdout
    assert "nothing to do" in booru(workplace, "run").stdout


def raw_file(folder, table):
    return folder / "booru_raw" / "Safebooru 2021a" / f"V2021A_{table}.tsv"


def drop_column(path, column):
    lines = path.read_text().splitlines()
    row = lines[0].split("\t").index(column)
    path.write_text("".join("\t".join(f for i, f in enumerate(line.split("\t")) if i != row) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: raw_file(folder, "tags").unlink(), ["V2021A_tags.tsv", "missing", "Add the file"]),
        (lambda folder: raw_file(folder, "files").write_text(""), ["V2021A_files.tsv is empty"]),
        (lambda folder: drop_column(raw_file(folder, "tags"), "TAG_CAT"), ["line 1: column TAG_CAT is missing"]),
        (lambda folder: shutil.rmtree(folder / "booru_raw"), ["booru sample"]),
        (lambda folder: shutil.rmtree(folder / "booru_raw" / "Safebooru 2021a"), ["there is no release in"]),
        (
            lambda folder: (folder / "booru_raw" / "Safebooru 2021a").rename(folder / "booru_raw" / "Safebooru spring"),
            ["'spring' is not a release key"],
        ),
        (lambda folder: (folder / "booru_home").write_text("a file"), ["BOORU_HOME"]),
        (lambda folder: (folder / "booru.toml").write_text("prest = 1"), ["prest", "booru.toml"]),
    ],
    ids=[
        "one file",
        "empty file",
        "missing column",
        "no folder",
        "no release",
        "no key",
        "unwritable home",
        "bad config",
    ],
)
def test_bad_input_is_named_with_the_remedy_and_leaves_no_artifact(copy, harm, says):
    harm(copy)
    assert_refused(booru(copy, "run"), *says)
    assert not list((copy / "booru_home").glob("warehouse/*")) if (copy / "booru_home").is_dir() else True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--preset", "nope"], ["unknown preset 'nope'", "tiny"]),
        (["--preset", "./nowhere"], ["./nowhere is not a model folder"]),
        (["--release", "20x1"], ["'20x1' is not a release key", "2021a"]),
        (["--release", "2029a"], ["2029a is not in", "found: 2021a"]),
        (["--to", "nowhere"], ["'nowhere'", "tag_table"]),
    ],
)
def test_bad_arguments_are_named_with_the_remedy(workplace, arguments, says):
    assert_refused(booru(workplace, "run", *arguments), *says)


def test_a_release_that_another_run_makes_is_refused(copy):
    with open_instance(Lake(copy / "booru_home")) as instance:
        tags = {"dagster/partition": "2021a", **process_tag()}
        job = build_defs().resolve_job_def("load_only")
        under_way = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    result = booru(copy, "run", "--to", "tag_table")
    assert_refused(result, "release 2021a is being made by run", under_way.run_id[:8], "load_only", "booru dev")
    with open_instance(Lake(copy / "booru_home")) as instance:
        instance.report_run_canceled(under_way)
    assert booru(copy, "run", "--to", "tag_table").returncode == 0


def test_a_run_that_was_killed_is_told_by_status_and_does_not_keep_others_out(copy):
    home = Lake(copy / "booru_home")
    with subprocess.Popen([BOORU, "run"], cwd=copy, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        next(line for line in process.stdout if "tag_table" in line)
        process.kill()
    with existing_instance(home) as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.STARTED  # nobody was there to say so
    status = json.loads(booru(copy, "status", "--json").stdout)
    assert status["releases"][0]["last_run"]["outcome"] == "interrupted"
    assert "is due" in status["next"][0]
    assert booru(copy, "run", "--to", "tag_table").returncode == 0


def test_a_second_experiment_is_refused(copy):
    with open_instance(Lake(copy / "booru_home")) as instance:
        job = build_defs().resolve_job_def("hydration_experiment")
        under_way = instance.create_run_for_job(job, tags=process_tag(), status=dg.DagsterRunStatus.STARTED)
    result = booru(copy, "experiment", "hydration", "--base-model", "t5-small")
    assert_refused(result, f"run {under_way.run_id[:8]} of hydration_experiment is under way", "booru dev")


def write_relations(folder, aliases=(), implications=()):
    folder.mkdir(exist_ok=True)
    for name, pairs in (("tag_aliases.json", aliases), ("tag_implications.json", implications)):
        lines = [json.dumps({"antecedent_name": one, "consequent_name": other}) for one, other in pairs]
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


def test_aliases_of_a_configured_folder_are_in_the_shards_and_others_make_them_stale(copy):
    run = ["run", "--to", "training_shards", "--relations", "relations"]
    write_relations(copy / "relations", aliases=[("rabbit_ears", "long_ears"), ("no_such_tag", "long_ears")])
    result = booru(copy, *run)
    assert result.returncode == 0, result.stderr
    shards = Lake(copy / "booru_home").training_shards("2021a")
    manifest = json.loads((shards / "manifest.json").read_text())
    assert f", {manifest['aliased']} aliases replaced" in result.stdout
    count = "select count(*) from read_parquet($shards) where list_contains(tags, $tag)"
    with duckdb.connect() as connection:
        posts = {
            tag: connection.execute(count, {"shards": str(shards / "*.parquet"), "tag": tag}).fetchall()[0][0]
            for tag in ("rabbit_ears", "long_ears")
        }
    assert posts == {"rabbit_ears": 0, "long_ears": manifest["aliased"]}
    assert manifest["aliased"] > 0
    write_relations(
        copy / "relations",
        aliases=[("rabbit_ears", "long_ears"), ("no_such_tag", "long_ears")],
        implications=[("long_ears", "animal_ears")],
    )
    assert "nothing to do" in booru(copy, *run, "--dry-run").stdout
    write_relations(copy / "relations", aliases=[("rabbit_ears", "lop_ears")])
    assert "training_shards is stale: the aliases changed" in booru(copy, *run, "--dry-run").stdout
    listed = booru(copy, "releases", "--relations", "relations")
    assert "2021a  training_shards is stale: the aliases changed" in listed.stdout


def test_broken_relations_stop_the_run_before_anything_is_made(copy):
    write_relations(copy / "relations", implications=[("a", "b")])
    with (copy / "relations" / "tag_implications.json").open("a") as file:
        file.write('{"antecedent_name": "b"}\n')
    for command in (["run"], ["releases"]):
        result = booru(copy, *command, BOORU_RELATIONS="relations")
        assert_refused(result, "tag_implications.json, line 2", "consequent_name is missing", "Correct the line")
    assert not [path for path in (copy / "booru_home").rglob("*") if path.is_dir()]
    write_relations(copy / "relations", aliases=[("a", "b"), ("b", "a")])
    assert_refused(booru(copy, "run", BOORU_RELATIONS="relations"), "tag_aliases.json, lines 1, 2", "a -> b -> a")


def test_a_broken_release_does_not_keep_earlier_ones_from_being_made(copy):
    generate(copy / "booru_raw", releases=["2021a", "2021b", "2021c"], posts=60, replace=True)
    (copy / "booru_raw" / "Safebooru 2021b" / "V2021B_tags.tsv").unlink()
    result = booru(copy, "run", "--to", "vocabulary")
    assert_refused(result, "V2021B_tags.tsv", "Not run, since they build on it: 2021c")
    lake = Lake(copy / "booru_home")
    assert read_record(lake.vocabulary("2021a"))
    assert not lake.tag_table("2021c").exists()


WALFIE = """insert into files (BOORU, FID, FILE_NAME, ORIG_MD5, IMG_SIZE_TORR) values
  ("nobooru", 1, "a.gif", "ab", "3x4"), ("nobooru", 2, "b.gif", "ac", "3x4");
insert into tags (BOORU, FID, TAG, TAG_ID, TAG_CAT, DANB_FR) values
  ("nobooru", 1, "usada_pekora", 0, 4, "hololive"), ("nobooru", 1, "1girl", 1, 0, "GENERAL"),
  ("nobooru", 1, "solo", 2, 0, "GENERAL"), ("nobooru", 1, "smile", 3, 0, "GENERAL"),
  ("nobooru", 2, "1girl", 1, 0, "GENERAL");
"""


def test_a_hand_tagged_release_comes_first_and_goes_into_what_later_ones_are_made_of(copy):
    folder = copy / "booru_raw" / "manual walfie"
    folder.mkdir()
    (folder / "walfie.sql").write_text(WALFIE)
    result = booru(copy, "run", "--release", "2021a", "--to", "vocabulary")
    assert result.returncode == 0, result.stderr
    assert result.stdout.index("manual_walfie  training_shards") < result.stdout.index("2021a  vocabulary")
    lake = Lake(copy / "booru_home")
    assert list(read_record(lake.vocabulary("2021a")).also_read) == ["manual_walfie"]
    count = "select release, count(*) as n from files where booru = 'nobooru' group by release"
    assert "manual_walfie" in booru(copy, "sql", count).stdout
    with duckdb.connect() as connection:
        shards = str(lake.training_shards("manual_walfie") / "*.parquet")
        [(posts, tags)] = connection.execute(
            "select count(*), sum(len(tags)) from read_parquet($shards) where release = 'manual_walfie'",
            {"shards": shards},
        ).fetchall()
    assert (posts, tags) == (2, 5)
    again = booru(copy, "run", "--release", "2021a", "--to", "vocabulary")
    assert "nothing to do" in again.stdout


def test_a_hostile_script_is_named_and_makes_nothing(copy):
    (copy / "booru_raw" / "evil.sql").write_text("insert into tags (tag) values (load_extension('x'));")
    result = booru(copy, "run", "--release", "evil", "--to", "tag_table")
    assert_refused(result, "evil.sql, line 1", "load_extension", "remove that")
    assert not Lake(copy / "booru_home").tag_table("evil").exists()


def test_a_kill_leaves_whole_artifacts_only_and_running_again_goes_on(copy):
    """Killed once in each stage that takes time, each run goes on from what the one before it had finished."""
    lake = Lake(copy / "booru_home")
    quick = {"BOORU_CHECKPOINT__MAX_STEPS": "400", "BOORU_CHECKPOINT__LOG_INTERVAL_S": "0.5", "PYTHONUNBUFFERED": "1"}
    for after in ("tag_table …", "vocabulary …", "tokenized_dataset …", "checkpoint …", "step "):
        with subprocess.Popen(
            [BOORU, "run"], cwd=copy, env={**environment(), **quick}, stdout=subprocess.PIPE, text=True
        ) as process:
            if not any(after in line for line in process.stdout):
                pytest.fail(f"the run ended before {after!r}")
            process.kill()
        payload_is_gone(lake)
        for stage in Stage:
            path = stage.path(lake, "2021a")
            assert not path.exists() or read_record(path), f"half an artifact at {path}, killed after {after!r}"
    again = booru(copy, "run")
    assert again.returncode == 0, again.stderr
    assert all(read_record(stage.path(lake, "2021a")) for stage in Stage)
    assert not [path for path in lake.staging.folder.iterdir() if path.is_dir()]


def payload_is_gone(lake):
    """Wait until no training payload of this home is left: a killed run must not train on unseen."""
    import psutil

    for _ in range(100):
        commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        if not any(str(lake.home) in command and "payload" in command for command in commands):
            return
        time.sleep(0.2)
    pytest.fail("the training payload outlived the run that started it")
