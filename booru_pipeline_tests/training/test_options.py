import pytest
from pydantic import ValidationError

from booru_pipeline.errors import BooruError
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import PRETRAINED_PLAN, TINY_PLAN, TrainingOptions, resolve


def test_fp16_is_refused_with_the_reason():
    with pytest.raises(ValidationError, match=r"overflows in T5.*#5651.*bf16 or fp32"):
        TrainingOptions(precision="fp16")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"precision": "int8"}, r"precision\n.*should be 'auto', 'fp32' or 'bf16'"),
        ({"hidden_share_min": 0.9, "hidden_share_max": 0.2}, "hidden_share_min 0.9 is above"),
        ({"time_limit_s": -1}, "time_limit_s"),
        ({"batch_size": 0}, "batch_size"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_values_are_named(wrong, said):
    with pytest.raises(ValidationError, match=said):
        TrainingOptions(**wrong)


def test_every_field_is_described():
    assert all(field.description for field in TrainingOptions.model_fields.values())


def test_what_is_not_set_comes_from_the_base_model():
    assert resolve(TrainingOptions(), pretrained=False) == TINY_PLAN
    assert resolve(TrainingOptions(), pretrained=True) == PRETRAINED_PLAN
    plan = resolve(TrainingOptions(batch_size=7, time_limit_s=0, max_steps=3), pretrained=False)
    assert (plan.batch_size, plan.time_limit_s, plan.max_steps) == (7, 0, 3)
    assert plan.learning_rate == TINY_PLAN.learning_rate


def test_training_without_any_limit_is_refused():
    with pytest.raises(BooruError, match="would never end"):
        resolve(TrainingOptions(time_limit_s=0, epochs=0), pretrained=False)


def test_a_width_for_a_pretrained_base_is_refused():
    assert resolve(TrainingOptions(width=64), pretrained=False).width == 64
    with pytest.raises(BooruError, match="width is for tiny"):
        resolve(TrainingOptions(width=64), pretrained=True)


def test_a_job_comes_back_from_its_file(tmp_path):
    job = TrainingJob(
        dataset=tmp_path / "d",
        vocabulary=tmp_path / "v",
        output=tmp_path / "o",
        base_name="tiny",
        options=TrainingOptions(seed=3),
        provenance={"release": "2021a", "fingerprints": {"dataset": "12"}},
    )
    assert TrainingJob.read(job.write(tmp_path / "job.json")) == job


def test_a_bad_job_file_is_named(tmp_path):
    path = tmp_path / "job.json"
    with pytest.raises(BooruError, match="cannot read the training job"):
        TrainingJob.read(path)
    path.write_text('{"dataset": "d"}')
    with pytest.raises(BooruError, match=r"job\.json is not a training job: vocabulary: Field required"):
        TrainingJob.read(path)
