"""The command that draws whole tag sets, as a user types it."""

import json

import pytest

from booru_pipeline.model.suggest.prompt import read_prompt
from booru_pipeline_tests.cli.command import assert_refused, booru


def test_sets_are_drawn_by_seed_in_all_three_forms(workplace):
    question = ("complete", "1girl, usada pekora", "--count", "12", "--sets", "2", "--seed", "4", "--exclude", "s*")
    result = booru(workplace, *question, "--json")
    assert result.returncode == 0, result.stderr
    assert "understood: 1girl, usada_pekora" in result.stderr
    found = json.loads(result.stdout)
    assert [(one["seed"], one["count"]) for one in found] == [(4, 12), (5, 12)]
    names = [[tag["tag"] for tag in one["tags"]] for one in found]
    assert all(one[:2] == ["1girl", "usada_pekora"] and len(set(one)) == 12 for one in names)
    assert not [tag for one in names for tag in one if tag.startswith("s")]
    prompts = booru(workplace, *question, "--prompt").stdout.splitlines()
    known = {tag for one in names for tag in one}
    assert [[piece.tag for piece in read_prompt([line], known.__contains__)] for line in prompts] == names
    shown = booru(workplace, *question).stdout
    assert "12 tags; drawn in this order with a probability of 10^-" in shown
    rows = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert rows == [*names[0], *names[1]]


def test_a_seed_that_was_drawn_by_lot_is_said_and_gives_the_same_set(workplace):
    first = booru(workplace, "complete", "1girl", "--prompt")
    seed = first.stderr.rstrip().rsplit("seed ", 1)[1]
    assert booru(workplace, "complete", "1girl", "--prompt", "--seed", seed).stdout == first.stdout


def test_given_tags_that_hardly_stand_together_are_kept_and_said(workplace):
    result = booru(workplace, "complete", "solo", "2girls", "--count", "5", "--prompt")
    assert result.stdout.startswith("solo, 2girls, ")
    assert "solo and 2girls: 0 of " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rabbit_ears", "--count", "1"], "--count is 1: it must be from 2"),
        (["smile", "--count", "1000000"], "the labels that the checkpoint knows"),
        (["smile", "--temperature", "nan"], "temperature is nan"),
        (["smile", "--exclude", "*"], "no label is left to draw"),
        (["smile", "--category", "generl"], "no category generl"),
        ([" "], "no tag is given"),
        (["usada_pekorra"], "usada_pekora"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(workplace, arguments, says):
    assert_refused(booru(workplace, "complete", *arguments), says)
