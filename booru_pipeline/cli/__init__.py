"""The command `booru`: `main` runs it, and each module beside it brings some of its commands."""

from booru_pipeline.cli import make, suggest, complete, audit, captions, checkpoints, ask, query, keep, forget, serve  # noqa: F401, I001  (the order of the commands in the help)
from booru_pipeline.cli.app import main

__all__ = ["main"]
