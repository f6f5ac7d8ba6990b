"""Booru tag sets to a fine-tuned T5: releases, tag tables, shards, datasets, checkpoints and reports."""
