"""Labels and their tokens."""
