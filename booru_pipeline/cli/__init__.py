"""The command `booru`: `main` runs it, and each module beside it brings some of its commands, in this order."""

from booru_pipeline.cli import make  # noqa: F401, I001
from booru_pipeline.cli.tags import suggest, ask, complete, labels  # noqa: F401
from booru_pipeline.cli import audit, captions, checkpoints, look, query, keep, forget, serve  # noqa: F401
from booru_pipeline.cli.app import main

__all__ = ["main"]
