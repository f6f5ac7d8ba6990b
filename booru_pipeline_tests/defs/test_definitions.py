import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.system_config.objects import ResolvedRunConfig

from booru_pipeline.defs.assets.common import GRAPH, GROUPS
from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT
from booru_pipeline.defs.build import LOCATION, build_defs
from booru_pipeline.defs.runs.history import failure_of
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return build_defs(load_settings(home=tmp_path_factory.mktemp("home"))).resolve_asset_graph()


def test_the_graph_is_one_chain_from_the_raw_release_to_the_report_and_trials_beside_it(graph):
    names = ["raw_release", *Stage]
    trials = [Stage.TOKENIZED_DATASET, TRIAL_CHECKPOINT, TRIAL_REPORT]
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {*names, *trials}
    for above, below in itertools.pairwise(trials):
        assert {key.to_user_string() for key in graph.get(dg.AssetKey(below)).parent_keys} == {above}
        assert graph.get(dg.AssetKey(below)).partitions_def.name == "trial"
    for above, below in itertools.pairwise(names):
        assert {key.to_user_string() for key in graph.get(dg.AssetKey(below)).parent_keys} == {above}
    assert graph.external_asset_keys == {dg.AssetKey("raw_release")}


@pytest.mark.parametrize("stage", list(Stage))
def test_every_asset_says_what_it_is(graph, stage):
    node = graph.get(dg.AssetKey(stage.value))
    assert len(node.description) > 80
    assert node.group_name
    assert node.kinds
    assert node.owners
    assert node.code_version == stage.code_version
    assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
    assert node.partitions_def.name == "release"


SHOP_TALK = re.compile(r"`|DuckDB|Parquet|shard|recall|T5|caption|label|derivable|baseline|checkpoint|split|tokeni")


def test_everything_in_the_ui_says_what_it_is_in_a_first_plain_sentence(graph, tmp_path):
    repository = build_defs(load_settings(home=tmp_path)).get_repository_def()
    ticking = [*repository.sensor_defs, *repository.schedule_defs]
    named = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    said = {f"{type(item).__name__} {item.name}": item.description for item in [*named, *ticking]}
    said |= {key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()}
    said |= {f"check {key.name}": graph.get(key).description for key in graph.asset_check_keys}
    assert len(said) > 25
    for name, description in said.items():
        first, *_ = re.split(r"(?<=[.?])\s", " ".join(description.split()))
        assert 25 < len(first) < 115, name
        assert not SHOP_TALK.search(first), name


def test_the_address_of_the_graph_unfolds_every_group(graph):
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} <= set(GROUPS)
    assert all(f":{group}" in GRAPH for group in GROUPS)


def test_the_link_to_the_reports_follows_the_settings(tmp_path):
    for url in ("http://127.0.0.1:3005", "https://reports.example.org/booru/"):
        nodes = build_defs(load_settings(home=tmp_path, reports_url=url)).resolve_asset_graph()
        said = nodes.get(dg.AssetKey(Stage.EVALUATION_REPORT.value)).description
        assert f"(<{url.rstrip('/')}/>)" in said
        assert f"(<{url.rstrip('/')}/reports/>)" in said


def test_every_stage_has_a_check_and_every_setting_a_description(graph, tmp_path):
    assert {key.asset_key.to_user_string() for key in graph.asset_check_keys} == {"raw_release", *Stage}
    resources = build_defs(load_settings(home=tmp_path)).resources
    for name, resource in resources.items():
        if isinstance(resource, dg.ConfigurableResource):
            for field, info in type(resource).model_fields.items():
                assert info.description, f"{name}.{field}"


def test_loading_the_definitions_imports_nothing_heavy():
    program = (
        "import sys, booru_pipeline.definitions;"
        "print([name for name in ('torch', 'transformers', 'datasets', 'matplotlib', 'wandb') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_all_three_ways_to_name_the_code_location_agree():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    ((entry,),) = [list(item.values()) for item in workspace["load_from"]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    named = {
        (entry["module_name"], entry["location_name"]),
        (project["dagster"]["module_name"], project["dagster"]["code_location_name"]),
        (project["dg"]["project"]["code_location_target_module"], project["dg"]["project"]["code_location_name"]),
    }
    assert named == {("booru_pipeline.definitions", LOCATION)}


def test_resources_can_be_replaced():
    class Other(dg.ConfigurableResource):
        pass

    other = Other()
    assert build_defs(resources={"pipes": other}).resources["pipes"] is other


def test_who_changes_one_option_in_the_launchpad_keeps_the_settings_of_the_others(tmp_path):
    settings = load_settings(home=tmp_path, checkpoint={"time_limit_s": 7, "hidden_shares": [0.1, 0.9]})
    job = build_defs(settings).resolve_job_def("refresh_release")
    config = {"resources": {"training_options": {"config": {"max_steps": 3}}}}
    resolved = ResolvedRunConfig.build(job, config).resources["training_options"].config
    expected = settings.checkpoint.model_copy(update={"max_steps": 3}).model_dump(mode="json")
    assert {name: resolved[name] for name in expected} == expected


def test_retraining_takes_the_settings_but_for_the_strategy(tmp_path):
    settings = load_settings(home=tmp_path, checkpoint={"strategy": "continue", "time_limit_s": 7, "evaluations": 2})
    job = build_defs(settings).resolve_job_def("retrain")
    config = job.partitioned_config.get_run_config_for_partition_key("2021a")
    resolved = ResolvedRunConfig.build(job, config).resources["training_options"].config
    expected = settings.checkpoint.model_copy(update={"strategy": "retrain"}).model_dump(mode="json")
    assert {name: resolved[name] for name in expected} == expected


@pytest.mark.parametrize("job", ["refresh_release", "load_only", "retrain"])
@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"dataset_options": {"encoding": "pieces"}, "training_options": {"objective": "set"}},
            "the set objective needs one token a label, and the dataset's captions are pieces",
        ),
        ({"base_model": {"preset": "t5-small"}, "training_options": {"width": 64}}, "width is for tiny"),
        ({"base_model": {"preset": "nope"}}, "unknown preset 'nope'"),
        ({"training_options": {"span_corruption": 0.5}}, "the present objective corrupts no spans"),
    ],
)
def test_a_run_of_the_launchpad_refuses_what_cannot_work_before_its_first_step(tmp_path, job, config, says):
    settings = load_settings(home=tmp_path / "home", raw=tmp_path, checkpoint={"time_limit_s": 7})
    resources = {key: {"config": options} for key, options in config.items()}
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.add_dynamic_partitions("release", ["2021a"])
        named = set(build_defs(settings).resolve_job_def(job).resource_defs)
        given = {"resources": {key: value for key, value in resources.items() if key in named}}
        run = (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(instance=instance, partition_key="2021a", run_config=given, raise_on_error=False)
        )
        assert not run.success
        assert says in failure_of(instance, run.run_id).text
        assert "Input should" not in failure_of(instance, run.run_id).text
    assert not [event for event in run.all_events if event.event_type_value == "STEP_START"]
