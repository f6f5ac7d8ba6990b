"""Benchmarks, each run from the checkout's root with `python -m benchmarks.NAME`; RESULTS.md has what they gave."""
