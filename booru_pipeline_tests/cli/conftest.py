import shutil

import pytest


@pytest.fixture
def copy(workplace, tmp_path):
    """A copy of the raw folder only, to break."""
    shutil.copytree(workplace / "booru_raw", tmp_path / "booru_raw")
    return tmp_path
