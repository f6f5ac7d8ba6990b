"""Raw releases: which there are, in which order they came, and what their bytes are."""
