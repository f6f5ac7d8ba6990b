import errno
import os

import dagster as dg
import duckdb
import pytest

from booru_pipeline.defs.retry import may_pass, retry_io
from booru_pipeline.errors import BooruError


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), True),
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE)), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (duckdb.IOException(f'Could not read from file "x": {os.strerror(errno.ESTALE)}'), True),
        (caused(BooruError("cannot write"), OSError(errno.EIO, "")), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False),
        (PermissionError(errno.EACCES, ""), False),
        (FileNotFoundError(errno.ENOENT, ""), False),
        (duckdb.IOException('Could not open file "x": No space left on device'), False),
        (BooruError("column TAG is missing"), False),
        (ValueError("a bug"), False),
    ],
)
def test_only_what_goes_away_by_itself_may_pass(error, passes):
    assert may_pass(error) is passes


@pytest.mark.parametrize(("error", "calls"), [(OSError(errno.EIO, "x"), 3), (ValueError("x"), 1)])
def test_an_asset_is_tried_again_on_such_errors_only(monkeypatch, error, calls):
    monkeypatch.setattr("booru_pipeline.defs.retry._WAIT_S", 0)
    called = []

    @dg.asset
    @retry_io
    def fails(context: dg.AssetExecutionContext) -> None:
        called.append(context.asset_key)
        raise error

    assert not dg.materialize([fails], raise_on_error=False).success
    assert len(called) == calls
