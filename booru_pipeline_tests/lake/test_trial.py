"""Names of trials."""

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.trial import check_name, is_kept, is_trial, name_part, parse_trial, release_part, trial_key
from booru_pipeline.release.key import parse_key


@pytest.mark.parametrize(("release", "name"), [("2021d", "lr5"), ("manual_walfie", "a-b_c"), ("2021aa", "0x")])
def test_a_key_is_taken_apart_into_what_it_was_made_of(release, name):
    key = trial_key(release, name)
    assert (release_part(key), name_part(key), parse_trial(key.upper())) == (release, name, key)
    assert is_trial(key)
    assert not is_kept(key)
    assert parse_key(key) is None  # whatever lists releases passes it over


def test_a_release_is_no_trial_and_its_own_release():
    assert not is_trial("2021d")
    assert (release_part("2021d"), name_part("2021d"), parse_trial("2021d")) == ("2021d", "", None)
    assert is_kept("2021d@12")


@pytest.mark.parametrize(
    "text", ["2021d@", "@lr5", "2021d@lr.5", "2021d@a@b", "2021d@../x", "2 @lr5", "2021d@" + "x" * 41]
)
def test_what_is_no_trial_is_none(text):
    assert parse_trial(text) is None


@pytest.mark.parametrize("name", ["", "a b", "../x", "lr.5", "7", "2021a", "-x", "ä", "x" * 41, "2021d@lr5", "\x1b[2J"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(BooruError, match="cannot name a trial") as refused:
        check_name(name)
    assert "\x1b" not in str(refused.value)
    assert check_name(" LR5 ") == "lr5"
