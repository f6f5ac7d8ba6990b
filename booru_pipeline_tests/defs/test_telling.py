"""What long work says of itself goes to its run's log."""

import time

import dagster as dg

from booru_pipeline import progress
from booru_pipeline.defs.telling import telling
from booru_pipeline.progress import step


def test_a_long_asset_and_its_check_tell_the_runs_log(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_S", 0.02)

    @dg.asset
    @telling
    def long(context: dg.AssetExecutionContext) -> None:
        with step("making it"):
            time.sleep(0.1)

    @dg.asset_check(asset="long")
    @telling
    def looked_at(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        with step("looking at it"):
            time.sleep(0.1)
        return dg.AssetCheckResult(passed=True)

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.Definitions(assets=[long], asset_checks=[looked_at]).get_implicit_global_asset_job_def()
        result = run.execute_in_process(instance=instance)
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any(line.startswith("making it: ") for line in said)
    assert any(line.startswith("looking at it: ") for line in said)
