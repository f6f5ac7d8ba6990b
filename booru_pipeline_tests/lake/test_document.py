"""A document reads what it wrote, passes over what it does not know, and names the file and the remedy otherwise."""

import json
from typing import ClassVar

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document


class Figures(Document):
    FILE: ClassVar[str] = "figures.json"
    REMEDY: ClassVar[str] = "Make them with `booru run`."

    posts: int
    loss: float = 0.0


def test_it_reads_what_it_wrote_and_what_another_version_wrote(tmp_path):
    Figures(posts=3, loss=float("nan")).write(tmp_path)
    assert json.loads((tmp_path / "figures.json").read_text())["posts"] == 3
    assert str(Figures.read(tmp_path)) == "posts=3 loss=nan"
    (tmp_path / "figures.json").write_text('{"posts": 4, "of_a_later_version": []}')
    assert Figures.read(tmp_path) == Figures(posts=4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the whole: Invalid JSON: EOF"),
        ("{", "the whole: Invalid JSON: EOF"),
        ("[]", "the whole: Input should be an object"),
        ('{"posts": "many"}', "posts: Input should be a valid integer"),
        ("\x00", "the whole: Invalid JSON"),
    ],
)
def test_what_is_none_is_named_with_the_remedy(tmp_path, text, says):
    (tmp_path / "figures.json").write_text(text)
    with pytest.raises(BooruError, match=rf"figures\.json cannot be read: {says}.*\. Make them with `booru run`\."):
        Figures.read(tmp_path)


def test_what_is_not_there_is_named_with_the_remedy(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BooruError, match=r"figures\.json is not there\. Make them with `booru run`\."):
            Figures.read(folder)
