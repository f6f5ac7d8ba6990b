import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import check_key, is_hand_tagged, parse_dated_key, parse_key, release_order


def test_keys_sort_in_the_order_in_which_releases_came_out():
    keys = ["2022a", "2021aa", "walfie", "2021b", "2020d", "manual_walfie", "2021a", "2021"]
    ordered = ["manual_walfie", "walfie", "2020d", "2021", "2021a", "2021b", "2021aa", "2022a"]
    assert sorted(keys, key=release_order) == ordered


def test_a_key_is_read_in_any_case():
    assert parse_key("2021A") == check_key(" 2021a ") == "2021a"


def test_a_hand_tagged_release_is_named_by_a_word():
    assert parse_key("Manual  Walfie") == check_key("manual_walfie") == "manual_walfie"
    assert is_hand_tagged("manual_walfie")
    assert not is_hand_tagged("2021a")
    assert parse_dated_key("manual walfie") is None
    assert parse_dated_key("2021A") == "2021a"


NO_KEYS = ["", "21a", "2021-a", "2021abc", "../2021a", "manual/walfie", 'a"b', "a.b", "memory", "Files", "x" * 65]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_not_a_key_is_refused_with_an_example(text):
    assert parse_key(text) is None
    with pytest.raises(BooruError, match="2021a"):
        check_key(text)
