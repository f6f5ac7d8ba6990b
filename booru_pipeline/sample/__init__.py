"""The sample world: small made-up releases in the raw format, so that everything works offline."""

from booru_pipeline.sample.generate import generate
from booru_pipeline.sample.world import load_world

__all__ = ["generate", "load_world"]
