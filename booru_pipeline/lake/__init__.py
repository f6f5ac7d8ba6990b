"""Artifacts on disk and in a store."""
