"""The collator's former place."""

from booru_pipeline.dataset.collator import CaptionCollator

__all__ = ["CaptionCollator"]
