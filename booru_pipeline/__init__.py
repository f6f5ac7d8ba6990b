"""Booru tag sets to a fine-tuned T5: a pipeline that learns what one tag implies about the others.

What other programs use stands in `__all__`; each name is imported when it is first asked for, so that
`import booru_pipeline` loads nothing heavy. Everything else may move.

    home = booru_pipeline.open_home("booru_home")
    predictor = home.predictor()
    predictor.suggest("usada_pekora", top=5)
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from booru_pipeline.dataset.collator import CaptionCollator
    from booru_pipeline.dataset.options import MaskingOptions
    from booru_pipeline.errors import BooruError
    from booru_pipeline.evaluation.figures.ranks import ranking_metrics
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.pipeline.home import Home, open_home
    from booru_pipeline.pipeline.settings import Settings, load_settings
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

__all__ = [
    "BooruError",
    "CaptionCollator",
    "Home",
    "Lake",
    "MaskingOptions",
    "Predictor",
    "Settings",
    "Vocabulary",
    "load_settings",
    "open_home",
    "ranking_metrics",
]

_MODULES: Final = {
    "BooruError": "errors",
    "CaptionCollator": "dataset.collator",
    "Home": "pipeline.home",
    "Lake": "lake.lake",
    "MaskingOptions": "dataset.options",
    "Predictor": "model.predictor",
    "Settings": "pipeline.settings",
    "Vocabulary": "vocabulary.vocabulary",
    "load_settings": "pipeline.settings",
    "open_home": "pipeline.home",
    "ranking_metrics": "evaluation.figures.ranks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
