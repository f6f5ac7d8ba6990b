"""Dagster's runs: their history, and the instance that keeps it."""
