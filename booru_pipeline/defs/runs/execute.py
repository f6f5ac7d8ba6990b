"""Executing a job of the code location in this process, as a run that the UI can execute again."""

from collections.abc import Mapping, Set
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.snap import snapshot_from_execution_plan

from booru_pipeline.defs.runs.process import process_tag

# The code location's name, as `dagster dev -m booru_pipeline.definitions` gives it: history, cursors and schedules
# go by it.
LOCATION: Final = "booru_pipeline.definitions"
_REPOSITORY: Final = "__repository__"  # Dagster's name for the one of a `Definitions`


def execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_id: str,
    config: Mapping[str, Any],
    tags: Mapping[str, str],
    assets: Set[dg.AssetKey] | None = None,
    checks: Set[dg.AssetCheckKey] | None = None,
) -> dg.JobExecutionResult:
    """Execute a job of in-process executor, or some of its assets and checks, to the end, whether it fails or not.

    Unlike `JobDefinition.execute_in_process` the run says where its job is and what of it was selected. Without that
    it is not on the job's page, the UI cannot execute it again, and no sensor is told of its failure.
    """
    chosen = job.get_subset(asset_selection=assets, asset_check_selection=checks)
    plan = create_execution_plan(
        InMemoryJob(chosen),
        config,
        instance_ref=instance.get_ref() if instance.is_persistent else None,
        tags={**tags},
    )
    run = instance.create_run(
        job_name=job.name,
        run_id=run_id,
        run_config=config,
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags={**chosen.run_tags, **tags, **process_tag(run_id)},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, chosen.get_job_snapshot_id()),
        job_snapshot=chosen.get_job_snapshot(),
        parent_job_snapshot=chosen.get_parent_job_snapshot(),
        asset_selection=assets,
        asset_check_selection=checks,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), _REPOSITORY).get_job_origin(
            job.name
        ),
        job_code_origin=None,
        asset_graph=chosen.asset_layer.asset_graph,
    )
    return execute_run(InMemoryJob(job), run, instance)
