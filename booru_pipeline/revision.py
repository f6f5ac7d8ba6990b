"""Which code made an artifact."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def code_revision() -> str:
    """The git commit of this checkout, `+changes` appended if it has any; without git, the package's version."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.CalledProcessError):
        try:
            return version("booru-pipeline")
        except PackageNotFoundError:
            return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
