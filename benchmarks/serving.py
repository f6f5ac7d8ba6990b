"""Asking: the server at several numbers of clients, `booru suggest` with and without one, and the model by itself.

    python -m benchmarks.serving                    # the shared releases, or the sample where they are not there
    python -m benchmarks.serving --raw R --home H --relations L    # a home that is there
    python -m benchmarks.serving --malformed 10000  # and requests that are none

Questions are one to eight of the 400 most frequent labels. The peers: torch and transformers in the place of ONNX
Runtime with the same weights, and `booru suggest` in the place of a server. Clients run on the server's cores.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.frame import ROOT

SHARED: Final = ROOT.parent / "shared" / "data"
COMMAND: Final = [sys.executable, "-c", "from booru_pipeline.cli import main; main()"]
CLIENTS: Final = (1, 8, 64)


def places(options: argparse.Namespace, workspace: Path) -> list[str]:
    """The flags of a home with a checkpoint, which is made if none is named."""
    if options.home:
        named = {name: getattr(options, name) for name in ("raw", "home", "relations")}
        flags = [f"--{name}={path}" for name, path in named.items() if path]
    else:
        raw = SHARED / "releases"
        flags = [f"--raw={raw}", f"--home={workspace / 'home'}", f"--relations={SHARED}"]
        if not raw.is_dir():
            print("the shared releases are not there: the sample is asked, with fewer labels")
            subprocess.run([*COMMAND, "sample"], cwd=workspace, check=True, stdout=subprocess.DEVNULL)
            flags = [f"--raw={workspace}/booru_sample/raw", f"--home={workspace / 'home'}"]
        run = [*COMMAND, "run", *flags, "--to=checkpoint", "--set=checkpoint.max_steps=200"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return flags


def questions(home: Path, number: int) -> list[dict[str, Any]]:
    """Some labels each, by lot, of the newest checkpoint in a home."""
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    lake, lot = Lake(home), random.Random(0)
    vocabulary = Vocabulary.load(lake.checkpoint(lake.newest(lake.checkpoint)))
    frequent = [vocabulary.labels[row] for row in vocabulary.by_posts[:400]]
    print(f"{len(vocabulary):,} labels")
    return [{"tags": lot.sample(frequent, lot.randint(1, 8)), "top": 20} for _ in range(number)]


@contextmanager
def server(flags: list[str]) -> Iterator[tuple[int, psutil.Process]]:
    """The port and the process of a `booru serve`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*COMMAND, "serve", *flags, f"--port={port}"], stdout=subprocess.DEVNULL)
    try:
        while ask(port, {"tags": ["1girl"]})[0] != 200:
            time.sleep(0.2)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def ask(port: int, question: dict[str, Any]) -> tuple[int, float]:
    """Status and seconds of one question, over a connection of its own; status 0 if nobody answers."""
    began = time.perf_counter()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/suggest", json.dumps(question), {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
    except OSError:
        return 0, 0.0
    return response.status, time.perf_counter() - began


def under_load(port: int, asked: list[dict[str, Any]], clients: int, rounds: int) -> None:
    """Print median, 99th percentile and questions a second, medians of some rounds."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(lambda question: ask(port, question), asked))
        seconds = time.perf_counter() - began
        assert {status for status, _ in answers} == {200}
        took = sorted(second for _, second in answers)
        found.append((statistics.median(took), took[int(0.99 * len(took))], len(asked) / seconds))
    median, late, rate = (statistics.median(column) for column in zip(*found, strict=True))
    times = f"median {1e3 * median:6.1f} ms, p99 {1e3 * late:6.1f} ms"
    print(f"server, {clients:>2} clients: {times}, {rate:5.1f} questions/s")


def by_itself(folder: Path, shape: str, asked: list[dict[str, Any]], rounds: int) -> None:
    """Print milliseconds a question of the model alone, by ONNX Runtime and by torch, and how far they differ."""
    import numpy as np

    from booru_pipeline.model.predictor import Predictor

    both = {name: Predictor.load(folder, "cpu", graph=graph) for name, graph in (("onnx", True), ("torch", False))}
    index = both["onnx"].vocabulary.index
    contexts = [[index[tag] for tag in question["tags"]] for question in asked]
    for size in (1, 64):
        took: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(rounds):
            for name, predictor in both.items():
                began = time.perf_counter()
                for start in range(0, 64, size):
                    predictor.t5.scores(contexts[start : start + size])
                took[name].append((time.perf_counter() - began) / 64)
        onnx, torch = (1e3 * statistics.median(took[name]) for name in ("onnx", "torch"))
        said = f"ONNX Runtime {onnx:.2f} ms a question, torch {torch:.2f}: {torch / onnx:.1f} times"
        print(f"{shape} alone, {size:>2} at once: {said}")
    ours, theirs = (predictor.probabilities(contexts[:64]) for predictor in both.values())
    print(f"largest difference of a probability: {np.abs(ours - theirs).max():.1e}")


def with_weights_of(shape: str, checkpoint: Path, folder: Path) -> Path:
    """The checkpoint with a T5 of another shape in its place, of random weights: how long it takes does not show."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from benchmarks.utilisation import SHAPES
    from booru_pipeline.model.ranking.graph import GRAPH_FILE
    from booru_pipeline.model.start import quiet_transformers

    quiet_transformers()
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns(GRAPH_FILE, "model.safetensors", "config.json"))
    kept = T5Config.from_pretrained(checkpoint)
    torch.manual_seed(0)
    config = {**SHAPES[shape], "vocab_size": kept.vocab_size, "decoder_start_token_id": kept.decoder_start_token_id}
    T5ForConditionalGeneration(T5Config(**config)).save_pretrained(folder)
    return folder


def together(flags: list[str], asked: list[dict[str, Any]], rounds: int) -> None:
    """Print how long a question takes, counting included, asked alone and with 31 others, as the server does."""
    import duckdb

    from booru_pipeline.model.suggest.asking import Request
    from booru_pipeline.model.suggest.post_index import PostIndex
    from booru_pipeline.pipeline.opening import open_asker
    from booru_pipeline.pipeline.settings import load_settings

    named = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    settings = load_settings(**{name: Path(path) for name, path in named.items()})
    with duckdb.connect() as connection:
        key = settings.lake.newest(settings.lake.checkpoint)
        asker = open_asker(settings, key, lambda files: PostIndex.of(connection, files))
    requests = [Request(tuple(question["tags"]), question["top"]) for question in asked[:64]]
    took: dict[int, list[float]] = {1: [], 32: []}
    for _ in range(rounds):
        for size, found in took.items():
            began = time.perf_counter()
            for start in range(0, len(requests), size):
                asker.ask(requests[start : start + size])
            found.append(1e3 * (time.perf_counter() - began) / len(requests))
    one, many = (statistics.median(found) for found in took.values())
    print(f"a question by itself {one:.1f} ms, one of 32 asked together {many:.1f} ms: {one / many:.1f} times")


def command(flags: list[str], rounds: int) -> float:
    """Median seconds of `booru suggest`."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        suggest = [*COMMAND, "suggest", "1girl", "smile", *flags]
        subprocess.run(suggest, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def malformed(port: int, number: int) -> None:
    """Send requests that are none: JSON with something wrong in it, and bytes. Print what was answered."""
    lot = random.Random(0)
    good = json.dumps({"tags": ["1girl"], "top": 5, "exclude": ["a*"], "checkpoint": None}).encode()
    heads = [b"POST /api/suggest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n", b"GET /api/tags?"]
    counts: dict[str, int] = {}
    for turn in range(number):
        body = bytearray(good)
        for _ in range(lot.randint(1, 6)):
            place = lot.randrange(len(body))
            body[place : place + lot.randint(0, 4)] = lot.randbytes(lot.randint(0, 6))
        raw = [
            heads[0] + f"Content-Length: {len(body)}\r\n\r\n".encode() + body,
            heads[1] + lot.randbytes(lot.randint(1, 200)).replace(b"\n", b"") + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            lot.randbytes(lot.randint(1, 2000)) + b"\r\n\r\n",
        ][turn % 3]
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            try:
                connection.sendall(raw)
                answer = connection.recv(1 << 16)
            except OSError:
                answer = b""
        status = answer[9:12].decode(errors="replace") if answer.startswith(b"HTTP/") else "closed"
        counts[status] = counts.get(status, 0) + 1
        assert b"Traceback" not in answer
        assert str(ROOT).encode() not in answer
    said = ", ".join(f"{status}: {count:,}" for status, count in sorted(counts.items()))
    print(f"{number:,} malformed requests: {said}")
    assert not [status for status in counts if status.startswith("5")]
    assert ask(port, {"tags": ["1girl"]})[0] == 200


def against_the_schema(port: int, number: int) -> None:
    """Send about so many requests that break the API's own schema, as schemathesis makes them, and print its summary.

    What it checks: no 5xx, statuses and bodies as the schema says, nothing accepted that the schema forbids.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A body too large is refused before it is read.
        refused = [400, 404, 405, 408, 413, 415, 421, 422]
        config = Path(folder) / "schemathesis.toml"
        config.write_text(f"[checks]\nnegative_data_rejection.expected-statuses = {refused}\n")
        tried = ["--phases=fuzzing", "--mode=negative", f"--max-examples={number // 5}"]  # operations with parameters
        command = [Path(sys.executable).with_name("st"), f"--config-file={config}", "run", *tried, "--seed=0"]
        address = f"http://127.0.0.1:{port}/api/openapi.json"
        told = subprocess.run([*command, "--continue-on-failure", address], capture_output=True, text=True, cwd=folder)
    _, _, summary = told.stdout.partition(" SUMMARY ")
    lines = [line.strip() for line in summary.splitlines()[1:] if line.strip()]
    print("schemathesis:", " / ".join(lines))
    assert told.returncode == 0, told.stdout[-3000:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("raw", "home", "relations"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--questions", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--malformed", type=int, default=1000)
    options = parser.parse_args()
    from booru_pipeline.lake.lake import Lake

    os.environ.setdefault("BOORU_SKIP_AMBIGUOUS_ALIASES", "1")  # the shared list has some
    with tempfile.TemporaryDirectory() as folder:
        flags = places(options, Path(folder))
        home = Path(next(flag for flag in flags if flag.startswith("--home=")).partition("=")[2])
        asked = questions(home, options.questions)
        lake = Lake(home)
        newest = lake.checkpoint(lake.newest(lake.checkpoint))
        by_itself(newest, "tiny", asked, options.rounds)
        by_itself(with_weights_of("t5-small", newest, Path(folder) / "small"), "t5-small", asked, options.rounds)
        together(flags, asked, options.rounds)
        cold = command(flags, options.rounds)
        with server(flags) as (port, process):
            for clients in CLIENTS:
                under_load(port, asked, clients, options.rounds)
            print(f"memory of the server: {process.memory_info().rss / 2**20:,.0f} MiB")
            warm = command(flags, options.rounds)
            malformed(port, options.malformed)
            against_the_schema(port, options.malformed)
        print(f"booru suggest: {cold:.2f} s without a server, {warm:.2f} s with one: {cold / warm:.1f} times")


if __name__ == "__main__":
    main()
