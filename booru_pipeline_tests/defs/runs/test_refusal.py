"""Options and releases that no run can be made with: refused in one sentence, before anything is made."""

import dagster as dg
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.runs.history import failure_of
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.runs.refusal import Refused
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Recipe, Stage

JARGON = ("pydantic", "Input should", "Error in config", "ValidationError", "type=", "\n")


@pytest.fixture(scope="module")
def settings(raw, tmp_path_factory):
    return load_settings(raw=raw, home=tmp_path_factory.mktemp("home"))


@pytest.fixture
def instance(settings):
    with open_instance(settings.lake) as opened:
        opened.add_dynamic_partitions("release", ["2021a", "2021b"])
        yield opened


@pytest.fixture(scope="module")
def job(settings):
    return build_defs(settings).resolve_job_def("refresh_release")


def config_of(stage, **options):
    return {"resources": {stage.options_key: {"config": options}}}


def out_of_bounds():
    """Each option of each stage that has bounds, with a value just outside of each."""
    for stage in Stage:
        schema = Recipe().options_model(stage).model_json_schema()
        for name, option in schema["properties"].items():
            for part in option.get("anyOf", [option]):
                whole = part.get("type") == "integer"
                step = 1 if whole else 0.5
                outside = {
                    "minimum": lambda bound, step=step: bound - step,
                    "exclusiveMinimum": lambda bound, step=step: bound - step,
                    "maximum": lambda bound, step=step: bound + step,
                    "exclusiveMaximum": lambda bound, step=step: bound + step,
                }
                for bound in outside.keys() & part.keys():
                    value = outside[bound](part[bound])
                    yield stage, name, int(value) if whole else float(value)


def test_every_bound_of_every_option_is_kept_where_a_run_is_launched(job):
    tried = list(out_of_bounds())
    assert {stage for stage, _, _ in tried} == set(Stage)
    assert ("checkpoint", "learning_rate", -0.5) in tried
    for stage, name, value in tried:
        with pytest.raises(Refused) as refused:
            dg.validate_run_config(job, config_of(stage, **{name: value}))
        said = str(refused.value)
        assert said.startswith(f"{stage.options_key}.{name} is {value}"), said
        assert "allowed: " in said
        assert not any(word in said for word in JARGON), said


@pytest.mark.parametrize(
    ("stage", "options", "says"),
    [
        (Stage.CHECKPOINT, {"optimizer": "sgd"}, "adamw"),
        (Stage.CHECKPOINT, {"hidden_share_min": 0.9, "hidden_share_max": 0.1}, "hidden_share_min 0.9 is above"),
        (Stage.EVALUATION_REPORT, {"hidden_shares": []}, "hidden_shares"),
        (Stage.EVALUATION_REPORT, {"hidden_shares": [0.5, 1.5]}, "hidden_shares has 1.5"),
    ],
)
def test_other_bad_values_are_named_with_what_is_allowed(job, stage, options, says):
    with pytest.raises(Refused) as refused:
        dg.validate_run_config(job, config_of(stage, **options))
    assert says in str(refused.value)
    assert not any(word in str(refused.value) for word in JARGON)


def failed(job, instance, config, partition="2021a", stages=(Stage.TAG_TABLE,), tags=None):
    """Why a run of some stages fails, which is before its first step."""
    assets = frozenset(dg.AssetKey(stage.value) for stage in stages)
    if partition:
        tags = {"dagster/partition": partition, **(tags or {})}
    result = job.get_subset(asset_selection=assets, asset_check_selection=frozenset()).execute_in_process(
        run_config=config, instance=instance, tags=tags, raise_on_error=False
    )
    assert not result.success
    assert not result.get_step_failure_events()
    failure = failure_of(instance, result.run_id)
    assert failure.mendable
    assert "\n" not in failure.text
    return failure.text


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"training_options": {"time_limit_s": 0.0, "epochs": 0.0}}, "training would never end"),
        ({"training_options": {"width": 64}, "base_model": {"preset": "t5-small"}}, "width is for tiny"),
        ({"base_model": {"preset": "nope"}}, "unknown preset 'nope'"),
        ({"dataset_options": {"encoding": "pieces"}, "training_options": {"objective": "present"}}, "pieces"),
        ({"training_options": {"span_corruption": 0.5, "objective": "set"}}, "corrupts no spans"),
        ({"folders": {"reports_url": "ftp://there"}}, "folders.reports_url: 'ftp://there' is no http or https URL"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_the_first_step(job, instance, resources, says):
    config = {"resources": {key: {"config": options} for key, options in resources.items()}}
    assert says in failed(job, instance, config, stages=list(Stage))


def test_what_the_run_itself_does_not_need_is_looked_at_too(job, instance):
    config = config_of(Stage.CHECKPOINT, learning_rate=-1.0)
    assert failed(job, instance, config).startswith("checkpoint.learning_rate is -1.0; allowed: number > 0")


def test_a_release_that_there_is_none_of_is_refused(job, instance):
    said = failed(job, instance, {}, "2029z")
    assert said.startswith("2029z is no release of this home. Choose one of 2021a, 2021b")


def test_a_range_of_releases_in_one_run_is_refused(job, instance):
    ends = {"dagster/asset_partition_range_start": "2021a", "dagster/asset_partition_range_end": "2021b"}
    assert "not a range" in failed(job, instance, {}, None, tags=ends)
