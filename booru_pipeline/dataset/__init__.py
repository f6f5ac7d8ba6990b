"""Posts as sets of labels: which side of the split each is on, how it becomes a caption, and what is hidden of it."""
