"""Measuring what a checkpoint has learned: hidden labels of held-out posts, recovered, beside strong baselines."""
