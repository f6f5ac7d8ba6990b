"""Kept for programs that import the collator from here, as the README once said; it is in `dataset/` now."""
