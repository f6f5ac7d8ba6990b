"""Jobs that are executed in this process, as runs that can be executed again."""

import uuid

import dagster as dg

from booru_pipeline.defs.runs.execute import LOCATION, execute


@dg.op
def gives():
    return "report.html"


@dg.op
def fails(said):
    raise ValueError(said)


@dg.job(executor_def=dg.in_process_executor)
def giving():
    gives()


@dg.job(executor_def=dg.in_process_executor)
def failing():
    fails(gives())


def test_the_run_says_where_its_job_is_and_its_output_can_be_read():
    run_id = str(uuid.uuid4())
    with dg.instance_for_test() as instance:
        with execute(giving, instance, run_id=run_id, config={}, tags={"booru/asked_by": "a test"}) as result:
            assert result.output_for_node("gives") == "report.html"
        run = instance.get_run_by_id(run_id)
    assert run.remote_job_origin.repository_origin.get_label() == f"__repository__@{LOCATION}"
    assert run.tags["booru/asked_by"] == "a test"
    assert run.tags[".dagster/booru_process"].endswith(run_id)


def test_a_failure_is_given_and_not_raised_and_what_came_before_it_can_be_taken_up_again():
    run_id = str(uuid.uuid4())
    with dg.instance_for_test() as instance:
        result = execute(failing, instance, run_id=run_id, config={}, tags={})
        assert not result.success
        state = instance.get_run_by_id(run_id).execution_plan_snapshot_id
        assert instance.get_execution_plan_snapshot(state).step_keys_to_execute == ["gives", "fails"]
        label = {".dagster/repository": f"__repository__@{LOCATION}"}  # what a job's page in the UI looks for
        assert [run.run_id for run in instance.get_runs(dg.RunsFilter(tags=label))] == [run_id]
