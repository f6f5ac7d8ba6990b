"""Why a run failed, in words that are no programmer's."""

import dagster as dg
import duckdb
import pytest
from dagster import DagsterInstance
from dagster._core.errors import DagsterExecutionInterruptedError

from booru_pipeline.defs.runs.history import failure_of
from booru_pipeline.errors import BooruError


@pytest.mark.parametrize(
    ("error", "text", "mendable"),
    [
        (BooruError("the disk is full. Free some space."), "the disk is full. Free some space.", True),
        (DagsterExecutionInterruptedError(), "its process was told to end.", False),
        (duckdb.OutOfMemoryException("no memory"), "OutOfMemoryException: no memory", False),
        (ValueError("a.b: c"), "ValueError: a.b: c", False),
    ],
)
def test_a_failure_is_told_without_names_of_modules(error, text, mendable):
    @dg.op
    def fails():
        raise error

    @dg.job
    def job():
        fails()

    with DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        failure = failure_of(instance, done.run_id)
    assert (failure.text, failure.mendable, failure.step) == (text, mendable, "fails")
