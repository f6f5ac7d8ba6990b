"""Stores: a bucket in an S3 server (moto's, a real one over HTTP), and a folder."""

import logging
import time
import urllib.request

import pytest
from moto.server import ThreadedMotoServer

from booru_pipeline.lake.store import Store


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def bucket(endpoint):
    """A new bucket: its URL and fsspec's options."""
    name = f"booru-{time.monotonic_ns()}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT")).close()
    return f"s3://{name}/lake", {"endpoint_url": endpoint}


@pytest.fixture(params=["s3", "folder"])
def place(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    return f"file://{tmp_path}/store", {}


@pytest.fixture
def store(place):
    return Store(*place)
