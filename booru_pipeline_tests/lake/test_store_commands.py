"""The store from the command line and the settings."""

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from booru_pipeline.cli.app import app
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.store import open_store
from booru_pipeline.pipeline.settings import load_settings


@pytest.mark.parametrize("options", [{"key": "AKIA"}, {"client_kwargs": {"aws_secret_access_key": "x"}}])
def test_credentials_in_the_settings_are_refused(tmp_path, monkeypatch, options):
    monkeypatch.setenv("BOORU_STORE__URL", "s3://bucket/lake")
    monkeypatch.setenv("BOORU_STORE__OPTIONS", json.dumps(options))
    with pytest.raises(BooruError, match=r"looks like a credential.*AWS_ACCESS_KEY_ID"):
        load_settings()


def test_without_a_store_the_commands_say_how_to_configure_one(tmp_path):
    result = CliRunner().invoke(app, ["store", "list", "--home", str(tmp_path)])
    assert isinstance(result.exception, BooruError)
    assert "BOORU_STORE__URL" in str(result.exception)
    assert open_store("", {}) is None


QUICK = """
[vocabulary]
min_general_posts = 5
min_name_posts = 5
[checkpoint]
max_steps = 5
wandb_project = ""
[evaluation_report]
test_posts = 20
bootstrap_samples = 50
hidden_shares = [0.5]
"""


@pytest.fixture
def booru(raw, bucket, tmp_path):
    """The command, on a home of that name, with the bucket in its config."""
    url, options = bucket
    config = tmp_path / "booru.toml"

    def call(home, *arguments, store=True, raw=raw):
        section = f'[store]\nurl = "{url}"\nendpoint_url = "{options["endpoint_url"]}"\n'
        config.write_text(f"{QUICK}{section if store else ''}")
        environment = {"BOORU_RAW": str(raw), "BOORU_HOME": str(tmp_path / home), "BOORU_CONFIG": str(config)}
        result = CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "200"}, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_a_machine_with_an_empty_home_takes_what_it_needs_and_makes_what_is_missing(booru, raw, tmp_path):
    first, both = tmp_path / "first", raw
    shutil.copytree(raw, first, ignore=shutil.ignore_patterns("*2021b"))  # with its aliases and implications
    made = booru("one", "run", raw=first)
    assert made.count("2021a  tag_table in") == 1
    listing = booru("two", "store", "list")
    for folder in ("warehouse", "shards", "vocabulary", "datasets", "checkpoints", "reports", "audits"):
        assert f"{folder}/2021a" in listing
    assert re.search(
        r"^shards/2021a +\d{4}-.* UTC +\S+ kB  s3://booru-\d+/lake/shards/2021a/\S+$", listing, re.MULTILINE
    )

    # Nothing is made again, and what is asked for comes.
    assert "nothing to do" in booru("two", "run", raw=first)
    assert "store  s3://" in booru("two", "status", "--check", raw=first)
    assert not (tmp_path / "two" / "checkpoints").exists()
    assert json.loads(booru("two", "suggest", "usada_pekora", "--json", raw=first))
    assert (tmp_path / "two" / "checkpoints" / "2021a" / "model.safetensors").is_file()
    assert not (tmp_path / "two" / "datasets").exists()
    booru("two", "sql", "select count(*) from tags", raw=first)
    with open(booru("two", "report", raw=first).strip()) as report:
        assert "<html" in report.read(1000)

    # A new release is made there, from the earlier one's shards.
    made = booru("three", "run", raw=both)
    assert "2021a  nothing to do" in made
    assert "2021b  evaluation_report in" in made
    assert (tmp_path / "three" / "shards" / "2021a" / "posts.parquet").is_file()
    assert json.loads((tmp_path / "three" / "checkpoints" / "2021b" / "provenance.json").read_text())["trained_on"]
    assert booru("one", "status", "--check", raw=both)

    # What retention removes is gone for all, and nobody makes it again.
    assert "removed" in booru("one", "clean", "--keep", "1", "--yes", raw=both)
    assert "checkpoints/2021a" not in booru("three", "store", "list")
    assert "2021a  nothing to do" in booru("four", "run", raw=both)


def test_a_home_from_before_the_store_is_pushed_once(booru, tmp_path):
    booru("old", "run", "--to", "vocabulary", store=False)
    pushed = booru("old", "store", "push")
    assert pushed.count("published") == 6
    assert booru("old", "store", "push") == "the store has everything that the home has\n"
    assert "nothing to do" in booru("new", "run", "--to", "vocabulary")
    booru("old", "store", "remove", "vocabulary/2021b")
    assert "vocabulary/2021b" not in booru("old", "store", "list")
