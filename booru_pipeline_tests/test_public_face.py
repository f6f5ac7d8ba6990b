"""`import booru_pipeline` offers what its `__all__` says, and loads nothing heavy by itself."""

import importlib
import subprocess
import sys

import pytest

import booru_pipeline


@pytest.mark.parametrize("name", booru_pipeline.__all__)
def test_every_public_name_is_there(name):
    assert getattr(booru_pipeline, name).__name__ == name
    assert name in dir(booru_pipeline)


def test_there_is_nothing_else():
    with pytest.raises(AttributeError, match="has no attribute 'Preditor'"):
        _ = booru_pipeline.Preditor


def test_the_import_is_light():
    code = (
        "import sys, booru_pipeline; print(sorted(set(sys.modules) & {'torch', 'transformers', 'dagster', 'duckdb'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_collator_is_still_where_it_once_was():
    former = importlib.import_module("booru_pipeline.labels.collator")
    assert former.CaptionCollator is booru_pipeline.CaptionCollator
