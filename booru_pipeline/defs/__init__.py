"""Dagster's definitions: the only modules that import it, besides the entry points."""

import warnings

import dagster as dg

# Checks partitioned like their assets are marked as a preview; without them a release's result would hide the others'.
# The other warnings of these kinds are Dagster's about its own calls. Decorators warn when the modules are imported.
for kind in (dg.PreviewWarning, dg.BetaWarning):
    warnings.filterwarnings("ignore", category=kind)
