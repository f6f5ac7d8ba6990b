"""The Dagster graph: one module a stage with its asset and its checks. What the stages do is in the domain packages."""
