import pytest

from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import booru
from booru_pipeline_tests.shared_folder import made_once


def make_home(folder):
    """Checkpoints of two sample releases, trained for three steps."""
    generate(folder / "raw", releases=["2021a", "2021b"], posts=400, seed=1)
    quick = ["--set", "checkpoint.max_steps=3", "--set", "vocabulary.min_general_posts=20"]
    places = ["--raw", str(folder / "raw"), "--home", str(folder / "home")]
    made = booru(folder, "run", *places, "--to", "checkpoint", *quick)
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Of a home with checkpoints of two releases, the second in use."""
    made = made_once(tmp_path_factory, "served", make_home)
    return load_settings(raw=made / "raw", home=made / "home")
