import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.aliases import load_aliases


def test_active_aliases_of_the_sample_world(raw, tmp_path):
    assert load_aliases(raw)["bunny_ears"] == "rabbit_ears"
    assert load_aliases(tmp_path) == {}


def test_deleted_aliases_do_not_count(tmp_path):
    (tmp_path / "tag_aliases.json").write_text(
        '{"antecedent_name": "a", "consequent_name": "b", "status": "deleted"}\n\n'
        '{"antecedent_name": "c", "consequent_name": "d"}\n'
    )
    assert load_aliases(tmp_path) == {"c": "d"}


@pytest.mark.parametrize("line", ["{", "[]", '{"antecedent_name": "a"}'])
def test_a_broken_line_is_named(tmp_path, line):
    (tmp_path / "tag_aliases.json").write_text(f'{{"antecedent_name": "c", "consequent_name": "d"}}\n{line}\n')
    with pytest.raises(BooruError, match=r"tag_aliases\.json, line 2"):
        load_aliases(tmp_path)
