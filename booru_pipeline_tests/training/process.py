"""The payload in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def command(job: Path) -> list[str]:
    return [sys.executable, "-m", "booru_pipeline.training.payload", str(job)]


def run_payload(job: Path, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(job), cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
