import pytest
from pydantic import ValidationError

from booru_pipeline.evaluation.options import EvaluationOptions


def test_shares_and_cut_offs_are_in_order_and_each_once():
    options = EvaluationOptions(hidden_shares=[0.9, 0.3, 0.9], ks=[20, 5])
    assert options.hidden_shares == [0.3, 0.9]
    assert options.all_ks == [5, 10, 20]
    assert options.headline_share == 0.3
    assert EvaluationOptions().headline_share == 0.5


@pytest.mark.parametrize(
    "broken", [{"hidden_shares": []}, {"hidden_shares": [1.0]}, {"ks": [0]}, {"hidden_share": 0.5}]
)
def test_what_cannot_be_asked_is_refused(broken):
    with pytest.raises(ValidationError):
        EvaluationOptions(**broken)
