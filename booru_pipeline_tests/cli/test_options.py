"""Every option is described, in `booru settings` and in docs/options.md, with the value in force and its source."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from booru_pipeline.cli.make import parse_settings
from booru_pipeline.cli.options import MAIN, all_options, to_markdown, value_of
from booru_pipeline.errors import BooruError
from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.pipeline.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
BOORU = Path(sys.executable).with_name("booru")


def settings_of(folder, *arguments, **variables):
    environment = {**os.environ, **variables, "COLUMNS": "120"}
    return subprocess.run([BOORU, "settings", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def option(section, name):
    return next(item for item in all_options() if (item.section, item.name) == (section, name))


def test_the_page_is_what_the_code_says():
    written = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == to_markdown(all_options()), "write it again: booru settings --markdown > docs/options.md"


def test_every_field_of_the_settings_is_an_option_with_a_description():
    found = {(item.section, item.name) for item in all_options()}
    for name, field in Settings.model_fields.items():
        section = getattr(field.annotation, "model_fields", None)
        expected = {(name, part) for part in section} if section else {(MAIN, name)}
        assert expected <= found
    assert {name for section, name in found if section == "hydration"} == set(HydrationOptions.model_fields)
    for item in all_options():
        assert item.description.endswith((".", ")", "no wandb.")), item
        assert item.kind, item


@pytest.mark.parametrize(
    ("section", "name", "kind", "default"),
    [
        ("checkpoint", "batch_size", "whole number >= 1", "64 (tiny), 64 (pre-trained)"),
        ("checkpoint", "width", "whole number >= 8", "128 (tiny), its own (pre-trained)"),
        ("checkpoint", "objective", "auto or present or set or sequence or span", '"auto"'),
        ("checkpoint", "optimizer", "adamw or adamw_rms or adafactor", '"adamw_rms" (tiny), "adamw" (pre-trained)'),
        ("hydration", "base_model", "text", 'the preset; in the launchpad "t5-small"'),
        ("evaluation_report", "hidden_shares", "list of number > 0 and < 1, not empty", "[0.1, 0.3, 0.5, 0.9]"),
        (MAIN, "relations", "path", "-"),
        ("store", "options", "table", "{}"),
    ],
)
def test_types_and_defaults_are_in_words(section, name, kind, default):
    found = option(section, name)
    assert (found.kind, found.default) == (kind, default)


def test_a_value_says_where_it_is_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("booru.toml").write_text('home = "here"\n[checkpoint]\nepochs = 3\noptimizer = "adamw"\nseed = 1\n')
    monkeypatch.setenv("BOORU_CHECKPOINT__SEED", "2")
    settings = load_settings(preset="t5-small")
    now = {name: value_of(option("checkpoint", name), settings) for name in ("epochs", "seed", "dropout", "compile")}
    assert now["epochs"] == (3.0, "booru.toml")
    assert now["seed"] == (2, "BOORU_CHECKPOINT__SEED")
    assert now["dropout"] == (0.1, "preset t5-small")
    assert now["compile"] == (False, "default")
    assert value_of(option("checkpoint", "width"), settings) == (None, "preset t5-small")  # the base's own
    assert value_of(option(MAIN, "home"), settings)[1] == "booru.toml"
    monkeypatch.setenv("BOORU_PRESET", "flan-t5-base")
    assert value_of(option(MAIN, "preset"), load_settings(preset="t5-small")) == ("t5-small", "--preset")
    assert value_of(option(MAIN, "preset"), load_settings(["preset=tiny"], preset="t5-small")) == ("tiny", "--set")
    assert value_of(option(MAIN, "preset"), load_settings()) == ("flan-t5-base", "BOORU_PRESET")
    assert value_of(option("hydration", "base_model"), load_settings()) == ("flan-t5-base", "preset")
    monkeypatch.delenv("BOORU_PRESET")
    # What an optimizer brings counts as the preset's.
    assert value_of(option("checkpoint", "learning_rate"), load_settings()) == (0.002, "preset tiny")


def test_the_command_shows_all_in_brief_and_a_section_in_full(tmp_path):
    brief = settings_of(tmp_path, BOORU_HOME="/srv/home")
    assert brief.returncode == 0, brief.stderr
    lines = {line.split()[0]: line for line in brief.stdout.splitlines()[1:] if line.strip()}
    assert all(
        (item.name if item.section == MAIN else f"{item.section}.{item.name}") in lines for item in all_options()
    )
    assert '"/srv/home"' in lines["home"]
    assert "BOORU_HOME" in lines["home"]
    full = settings_of(tmp_path, "checkpoint", "--preset", "t5-small").stdout
    assert "epochs = 3  (preset t5-small)" in full
    assert "whole number >= 1; default 64 (tiny), 64 (pre-trained); BOORU_CHECKPOINT__BATCH_SIZE" in full
    found = json.loads(settings_of(tmp_path, "store", "--json").stdout)
    assert [item["name"] for item in found] == ["url", "endpoint_url", "options"]


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["chekpoint"], {}, "there is no section 'chekpoint'. Choose one of settings, tag_table"),
        ([], {"BOORU_CHECKPOINT__EPOCHS": "many"}, "setting checkpoint.epochs"),
        (["store", "--markdown"], {}, "--markdown prints all sections"),
        (["checkpoint", "--preset", "t5-small"], {"BOORU_CHECKPOINT__WIDTH": "64"}, "width is for tiny"),
    ],
)
def test_what_cannot_be_shown_is_named(tmp_path, arguments, variables, says):
    result = settings_of(tmp_path, *arguments, **variables)
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_combination_is_an_error_of_ours(monkeypatch):
    monkeypatch.setenv("BOORU_CHECKPOINT__WIDTH", "64")
    with pytest.raises(BooruError, match="width is for tiny"):
        value_of(option("checkpoint", "epochs"), load_settings(preset="t5-small"))


def test_settings_are_checked_before_anything_starts():
    assert parse_settings({"steps": 3, "release": "2021a"}, ["shares=[0.1, 1]", "base_model=org/model"]) == {
        "steps": 3,
        "release": "2021a",
        "shares": [0.1, 1],
        "base_model": "org/model",
    }
    for given in ["steps", "steps=-1", "shares=[2]", "shares=[0.1, 0.1]", "nothing=1", "encoding=letters"]:
        with pytest.raises(BooruError):
            parse_settings({}, [given])
