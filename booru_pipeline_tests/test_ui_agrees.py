"""What people do in the UI to runs, options and partitions, by the mutations that the UI sends to a real server."""

import shutil

import pytest

from booru_pipeline.defs.runs.execute import LOCATION
from booru_pipeline.defs.shell import make_plan, run_plan
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.running import booru_dev, eventually

# The sensor asks for nothing: what runs was started here.
WATCHES_ONLY = """
[automation]
look_interval_s = 1
rest_s = 36000
cron = ""
"""
RUNS = """{ runsOrError { ... on Runs { results {
  runId status jobName parentRunId stepKeysToExecute assetSelection { path } tags { key value }
} } } }"""
RE_EXECUTE = """mutation($parent: String!, $strategy: ReexecutionStrategy!) {
  launchPipelineReexecution(reexecutionParams: {parentRunId: $parent, strategy: $strategy}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
LAUNCH = """mutation($run: ExecutionParams!) { launchPipelineExecution(executionParams: $run) {
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message stack }
} }"""
BACKFILL = """mutation($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  __typename
  ... on PartitionKeysNotFoundError { message }
} }"""
FAILURE = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on RunFailureEvent { error { message stack } }
} } } }"""
STATS = """{ assetNodes(assetKeys: [{path: ["tag_table"]}]) {
  partitionStats { numPartitions numMaterialized numFailed }
} }"""
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
WHERE = (
    f'repositorySelector: {{repositoryName: "__repository__", repositoryLocationName: "{LOCATION}"}}, '
    'partitionsDefName: "release"'
)
LOADED = {"numPartitions": 2, "numMaterialized": 2, "numFailed": 0}


class Desk:
    """A home, the shell and the UI, on two releases of which only the first can be loaded yet."""

    def __init__(self, raw, folder):
        self.raw, self.home, self.config = folder / "raw", folder / "home", folder / "booru.toml"
        shutil.copytree(raw, self.raw)
        self.home.mkdir()
        self.config.write_text(WATCHES_ONLY)
        self.settings = load_settings(raw=self.raw, home=self.home)
        self.server = None

    def run(self, *releases, to=Stage.TRAINING_SHARDS):
        """`booru run`; gives the error's text, or ""."""
        try:
            run_plan(self.settings, make_plan(self.settings, releases, to), print)
        except BooruError as error:
            return str(error)
        return ""

    def runs(self):
        return {run["runId"]: run for run in self.server.graphql(RUNS)["runsOrError"]["results"]}

    def ended(self, run_id):
        """The run, once it has come to its end."""
        return eventually(lambda: (run := self.runs()[run_id])["status"] in ("SUCCESS", "FAILURE") and run)

    def re_execute(self, parent, strategy):
        answer = self.server.graphql(RE_EXECUTE, parent=parent, strategy=strategy)["launchPipelineReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return self.ended(answer["run"]["runId"])

    def launch(self, job, config, release):
        """The run's id, or why there is none."""
        run = {
            "selector": {**REPOSITORY, "pipelineName": job},
            "runConfigData": config,
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": release}]},
        }
        answer = self.server.graphql(LAUNCH, run=run)["launchPipelineExecution"]
        assert not answer.get("stack")
        return answer["run"]["runId"] if "run" in answer else answer["message"]

    def shown(self):
        """What the graph says of the tag tables."""
        return self.server.graphql(STATS)["assetNodes"][0]["partitionStats"]


@pytest.fixture(scope="module")
def desk(raw, tmp_path_factory):
    desk = Desk(raw, tmp_path_factory.mktemp("desk"))
    with booru_dev(desk.raw, desk.home, desk.config) as server:
        desk.server = server
        eventually(lambda: server.graphql("{ version }"), server.log.read_text)
        yield desk


def release_of(run):
    return next(tag["value"] for tag in run["tags"] if tag["key"] == "dagster/partition")


def test_a_run_of_the_shell_is_executed_again(desk):
    assert not desk.run("2021a")
    ((run_id, made),) = desk.runs().items()
    again = desk.re_execute(run_id, "ALL_STEPS")
    assert (again["status"], again["parentRunId"], release_of(again)) == ("SUCCESS", run_id, "2021a")
    assert {asset["path"][0] for asset in again["assetSelection"]} == {"tag_table", "training_shards"}
    assert again["assetSelection"] == made["assetSelection"]


@pytest.mark.parametrize("strategy", ["FROM_FAILURE", "FROM_ASSET_FAILURE"])
def test_a_failed_run_of_the_shell_is_executed_again_from_where_it_failed(desk, strategy):
    tags = desk.raw / "Safebooru 2021b" / "V2021B_tags.tsv"
    whole = tags.read_text()
    tags.write_text(whole[: len(whole) // 2] + "garbage\n" * 5000)
    assert "max_reject_share" in desk.run("2021b")
    failed = next(iter(desk.runs().values()))
    assert failed["status"] == "FAILURE"
    tags.write_text(whole)
    again = desk.re_execute(failed["runId"], strategy)
    assert (again["status"], release_of(again)) == ("SUCCESS", "2021b")
    if strategy == "FROM_FAILURE":  # what had passed is not done again
        assert "raw_release_release_is_whole" not in again["stepKeysToExecute"]
        assert "training_shards" in again["stepKeysToExecute"]


def test_an_option_out_of_bounds_is_refused_at_the_launch_and_no_run_is_made(desk):
    before = desk.runs()
    config = {"resources": {"training_options": {"config": {"learning_rate": -1.0}}}}
    assert desk.launch("refresh_release", config, "2021a") == (
        "training_options.learning_rate is -1.0; allowed: number > 0. Correct it under resources in the launchpad."
    )
    assert desk.runs() == before


def test_a_release_that_there_is_none_of_is_refused(desk):
    asked = {"assetSelection": [{"path": ["tag_table"]}], "partitionNames": ["2021a", "2029z"]}
    answer = desk.server.graphql(BACKFILL, backfill=asked)["launchPartitionBackfill"]
    assert answer == {
        "__typename": "PartitionKeysNotFoundError",
        "message": "Partition keys `['2029z']` could not be found.",
    }
    run = desk.ended(desk.launch("load_only", {}, "2029z"))
    events = desk.server.graphql(FAILURE, run=run["runId"])["logsForRun"]["events"]
    (error,) = [event["error"] for event in events if event.get("error")]
    assert error["message"].startswith("2029z is no release of this home. Choose one of")
    assert error["stack"] == []


@pytest.mark.parametrize(
    "mutation",
    [
        'wipeAssets(assetPartitionRanges: [{assetKey: {path: ["tag_table"]}}])',
        f'addDynamicPartition({WHERE}, partitionKey: "2021 c")',
        f'deleteDynamicPartitions({WHERE}, partitionKeys: ["2021b"])',
        f'deleteDynamicPartitions({WHERE}, partitionKeys: ["2021b"], wipeMaterializations: false)',
    ],
)
def test_after_a_look_the_ui_shows_again_what_there_is(desk, mutation):
    desk.run("2021a", "2021b")
    eventually(lambda: desk.shown() == LOADED, lambda: str(desk.shown()))
    (answer,) = desk.server.graphql(f"mutation {{ {mutation} {{ __typename }} }}").values()
    assert answer["__typename"].endswith("Success"), answer
    eventually(lambda: desk.shown() == LOADED, lambda: str(desk.shown()))
