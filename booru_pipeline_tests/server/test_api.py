"""The server's API, by real requests to a real server, in this process and in one of its own."""

import json
import os
import shutil
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import duckdb
import pytest
from starlette.testclient import TestClient

from booru_pipeline.pipeline.promoted import promote
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.server.app import make_app
from booru_pipeline.server.careful import LARGEST
from booru_pipeline.server.client import ask_server
from booru_pipeline.server.questions import Questions
from booru_pipeline.server.shelf import Shelf
from booru_pipeline_tests.cli.command import booru
from booru_pipeline_tests.running import BOORU, eventually, free_port

LOCAL = "http://127.0.0.1"


@pytest.fixture(scope="module")
def client(settings):
    with TestClient(make_app(Shelf(settings)), base_url=LOCAL) as client:
        eventually(lambda: client.get("/api/health").json()["status"] == "ok" or None)
        yield client


def suggested(settings, *arguments):
    return booru(settings.home, "suggest", *arguments, "--raw", str(settings.raw), "--home", str(settings.home))


def asked(client, *tags, **question):
    return client.post("/api/suggest", json={"tags": list(tags), **question})


def test_an_answer_is_the_commands(client, settings):
    answer = asked(client, "usada pekora", "bunny ears", top=5, explain=True).json()
    said = suggested(settings, "usada_pekora", "bunny_ears", "--top", "5", "--explain", "--json")
    theirs = json.loads(said.stdout)
    assert [item["tag"] for item in answer["suggestions"]] == [item["tag"] for item in theirs]
    for ours, other in zip(answer["suggestions"], theirs, strict=True):
        assert ours["probability"] == pytest.approx(other["probability"], abs=1e-6)
        assert ours["observed"] == other["observed"]
        assert ours["explanation"]["strongest"] == other["explanation"]["strongest"]
    assert answer["checkpoint"] == "2021b"
    assert answer["given"] == ["usada_pekora", "rabbit_ears"]


def test_many_at_once_get_their_own_answers(client):
    tags = [item["tag"] for item in client.get("/api/tags", params={"q": "", "limit": 40}).json()]
    alone = {tag: asked(client, tag, top=3).json()["suggestions"] for tag in tags}
    with ThreadPoolExecutor(16) as pool:
        together = dict(
            zip(tags, pool.map(lambda tag: asked(client, tag, top=3).json()["suggestions"], tags), strict=True)
        )
    for tag in tags:
        assert [item["tag"] for item in together[tag]] == [item["tag"] for item in alone[tag]]


def test_names_are_completed_by_label_alias_and_part(client):
    def names(text):
        return [(item["tag"], item["alias"]) for item in client.get("/api/tags", params={"q": text}).json()]

    assert names("rabbit e")[0] == ("rabbit_ears", None)
    assert ("rabbit_ears", "bunny_ears") in names("bunny")
    assert ("rabbit_ears", None) in names("ears")
    assert names("no such tag") == []
    posts = [item["posts"] for item in client.get("/api/tags", params={"q": ""}).json()]
    assert posts == sorted(posts, reverse=True)
    assert len(posts) == 10


@pytest.mark.parametrize("by", ["cosine", "vectors"])
def test_related_labels_are_the_commands(client, settings, by):
    found = client.get("/api/related/bunny ears", params={"by": by, "limit": 3}).json()
    places = ["--raw", str(settings.raw), "--home", str(settings.home)]
    stated = booru(settings.home, "related", "rabbit_ears", "--by", by, "--top", "3", "--json", *places)
    rows = [json.loads(line) for line in stated.stdout.splitlines()]
    assert [(item["tag"], item["likeness"]) for item in found] == [(row["tag"], row[by]) for row in rows]
    slash = client.get("/api/related/fate%2Fextra")
    assert "no label is called fate/extra" in slash.json()["error"]
    unknown = client.get("/api/related/rabbit_eers")
    assert unknown.status_code == 404
    assert "Did you mean rabbit_ears" in unknown.json()["error"]
    assert client.get("/api/related/1girl", params={"by": "taste"}).status_code == 400


def test_a_set_is_drawn_as_the_command_draws_it(client, settings):
    question = {"tags": ["1girl", "usada pekora"], "count": 12, "seed": 4, "exclude": ["s*"]}
    found = client.post("/api/complete", json=question).json()
    places = ["--raw", str(settings.raw), "--home", str(settings.home)]
    flags = ["--count", "12", "--seed", "4", "--exclude", "s*", "--json"]
    [stated] = json.loads(booru(settings.home, "complete", "1girl", "usada pekora", *flags, *places).stdout)
    assert [tag["tag"] for tag in found["tags"]] == [tag["tag"] for tag in stated["tags"]]
    assert found["log_probability"] == pytest.approx(stated["log_probability"], abs=1e-3)
    assert [tag["tag"] for tag in found["tags"] if tag["given"]] == ["1girl", "usada_pekora"]
    for wrong, status in (({"count": 1}, 422), ({"temperature": 0}, 400), ({"exclude": ["*"]}, 422)):
        answer = client.post("/api/complete", json={**question, **wrong})
        assert answer.status_code == status
        assert answer.json()["error"]


def test_a_post_is_inspected(client, settings):
    shards = settings.lake.training_shards("2021b") / "*.parquet"
    [(name, fid, tags)] = duckdb.sql(f"SELECT booru, fid, tags FROM '{shards}' ORDER BY fid LIMIT 1").fetchall()
    post = client.get(f"/api/posts/{name}/{fid}").json()
    assert (post["booru"], post["fid"]) == (name, fid)
    assert {fate["tag"] for fate in post["tags"]} >= set(tags)
    for path in (f"/api/posts/{name}/1", "/api/posts/nowhere/1", f"/api/posts/{name}/{fid}?checkpoint=2020z"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert str(settings.home) not in answer.text
    assert client.get(f"/api/posts/{name}/{10**30}").status_code == 400


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        ({"tags": ["no_such_tag_at_all"]}, 422, "no label is called no_such_tag_at_all"),
        ({"tags": [" "]}, 422, "no tag is given"),
        ({"tags": ["1girl"], "categories": ["species"]}, 422, "there is no category species"),
        ({"tags": ["1girl"], "checkpoint": "2020z"}, 404, "There are: 2021b, 2021a"),
        ({"tags": ["1girl"], "checkpoint": "../../etc/passwd"}, 404, "there is no checkpoint"),
        ({"tags": []}, 400, "tags"),
        ({"tags": ["1girl"], "top": 0}, 400, "top"),
        ({"tags": ["1girl"], "top": "many"}, 400, "top"),
        ({"tags": ["1girl"], "more": 1}, 400, "more"),
        ({"tags": ["x" * 5000]}, 400, "tags.0"),
        ([1], 400, "the request"),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(client, settings, question, status, said):
    answer = client.post("/api/suggest", json=question)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]
    assert str(settings.home) not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"tags": ["\\ud800"]}', b"[" * 30_000, b"NaN"])
def test_a_body_that_is_no_json_is_refused(client, body):
    answer = client.post("/api/suggest", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]


def test_what_is_too_large_is_refused_whether_it_says_so_or_not(client):
    large = json.dumps({"tags": ["1girl"] * LARGEST}).encode()
    assert client.post("/api/suggest", content=large).status_code == 413
    assert client.post("/api/suggest", content=iter([large[:LARGEST], large[LARGEST:]])).status_code == 413


def test_a_page_elsewhere_cannot_read_it_under_a_name_of_its_own(client):
    assert client.get("/api/health", headers={"Host": "evil.example.org"}).status_code == 421
    assert client.get("/api/health", headers={"Host": "localhost:3001"}).status_code == 200
    assert client.get("/api/health", headers={"Host": "[::1]:3001"}).status_code == 200
    answer = client.get("/api/health", headers={"Origin": "https://evil.example.org"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/nothing", "/reports/", "/api/openapi.json"])
def test_every_answer_has_the_headers_of_a_careful_server(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "server" not in headers


def test_the_schema_names_every_question(client):
    schema = client.get("/api/openapi.json").json()
    assert {"/api/health", "/api/checkpoints", "/api/tags", "/api/suggest"} <= set(schema["paths"])
    assert "description" in schema["components"]["schemas"]["SuggestQuestion"]["properties"]["tags"]


def test_a_fault_is_one_askers_and_the_next_is_answered():
    class Broken:
        def ask(self, requests):
            raise ZeroDivisionError

    class Whole:
        def ask(self, requests):
            return list(requests)

    import asyncio

    questions = Questions()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(questions.ask(Broken(), "one"))
    assert asyncio.run(questions.ask(Whole(), "two")) == "two"


def test_a_newly_promoted_checkpoint_is_taken_without_a_restart(settings, client):
    name = client.get("/api/health").json()["checkpoint"]
    other = "2021a" if name == "2021b" else "2021b"
    try:
        promote(settings.lake, other, "a test")
        eventually(lambda: client.get("/api/health").json()["checkpoint"] == other or None)
        assert asked(client, "1girl").json()["checkpoint"] == other
        assert {"name": other, "is_promoted": True} in client.get("/api/checkpoints").json()
        assert asked(client, "1girl", checkpoint=name).json()["checkpoint"] == name
    finally:
        promote(settings.lake, name, "as before")
        eventually(lambda: client.get("/api/health").json()["checkpoint"] == name or None)


def test_a_home_without_a_checkpoint_says_so_until_there_is_one(settings, tmp_path):
    home = tmp_path / "home"
    with TestClient(make_app(Shelf(load_settings(raw=settings.raw, home=home))), base_url=LOCAL) as client:
        assert client.get("/api/health").json()["status"] == "loading"
        answer = asked(client, "1girl")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert "booru run" in answer.json()["error"]
        shutil.copytree(settings.home, home, dirs_exist_ok=True)
        eventually(lambda: client.get("/api/health").json()["status"] == "ok" or None)


@pytest.fixture(scope="module")
def served(settings):
    """The port of `booru serve` as a process of its own."""
    port = free_port()
    server = subprocess.Popen(
        [BOORU, "serve", "--raw", settings.raw, "--home", settings.home, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    )
    eventually(lambda: settings.lake.server_note.is_file() or None)
    eventually(lambda: ask_server(settings, {"tags": ["1girl"]}))
    yield port
    server.terminate()
    _, said = server.communicate(timeout=30)
    assert "Traceback" not in said
    assert not settings.lake.server_note.exists()


def test_the_command_asks_the_server_that_runs_on_its_home(settings, served):
    by_server = ask_server(settings, {"tags": ["usada_pekora"], "top": 4, "explain": True})
    note = settings.lake.server_note.read_text()
    settings.lake.server_note.write_text("{}")  # as if none ran
    assert ask_server(settings, {"tags": ["usada_pekora"]}) is None
    cold = suggested(settings, "usada_pekora", "--top", "4", "--explain")
    settings.lake.server_note.write_text(note)
    warm = suggested(settings, "usada_pekora", "--top", "4", "--explain")
    assert warm.stdout == cold.stdout
    assert [asdict(item)["observed"]["share"] for item in by_server.suggestions]
    other = load_settings(raw=settings.raw, home=settings.home, skip_ambiguous_aliases=True)
    assert ask_server(other, {"tags": ["1girl"]}) is None  # its answers may differ
    assert suggested(settings, "no_such_tag").returncode == 1


def test_bytes_that_are_no_http_end_nothing(served, settings):
    for raw in (b"\x00" * 500, b"GET / HTTP/9.9\r\n\r\n", b"POST /api/suggest HTTP/1.1\r\nContent-Length: -4\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", served), timeout=20) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert b" 500 " not in connection.recv(4096)
    assert ask_server(settings, {"tags": ["1girl"]}).suggestions
    assert threading.active_count() < 100


def test_it_answers_as_its_schema_says_whatever_it_is_asked(served, tmp_path):
    # A body too large is refused before it is read; a name that is no label is no breach of the schema.
    (tmp_path / "schemathesis.toml").write_text(
        "[checks]\n"
        "negative_data_rejection.expected-statuses = [400, 404, 405, 408, 413, 415, 421, 422]\n"
        "positive_data_acceptance.expected-statuses = [200, 404, 422]\n"
    )
    address = f"http://127.0.0.1:{served}/api/openapi.json"
    options = ["--phases=coverage,fuzzing", "--max-examples=10", "--seed=1", "--warnings=off"]
    options += ["--suppress-health-check=all", "--request-timeout=60"]  # a busy machine is no fault
    told = subprocess.run(
        [BOORU.with_name("st"), "run", *options, address], cwd=tmp_path, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout[-3000:]
    assert "7/7" in told.stdout
