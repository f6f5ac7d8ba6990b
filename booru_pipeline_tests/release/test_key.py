import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import check_key, parse_key, release_order


def test_keys_sort_in_the_order_in_which_releases_came_out():
    keys = ["2022a", "2021aa", "2021b", "2020d", "2021a", "2021"]
    assert sorted(keys, key=release_order) == ["2020d", "2021", "2021a", "2021b", "2021aa", "2022a"]


def test_a_key_is_read_in_any_case():
    assert parse_key("2021A") == check_key(" 2021a ") == "2021a"


@pytest.mark.parametrize("text", ["", "21a", "2021-a", "2021abc", "../2021a", "vocabulary"])
def test_what_is_not_a_key_is_refused_with_an_example(text):
    assert parse_key(text) is None
    with pytest.raises(BooruError, match="2021a"):
        check_key(text)
