"""The graph at a glance. `dagster dev` loads `defs`; nothing here imports torch, transformers or datasets."""

from booru_pipeline.defs.build import build_defs

defs = build_defs()
