"""Stages, settings, and what of a release is fresh, in use or can go."""
