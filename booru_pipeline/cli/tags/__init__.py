"""Commands that say something of tags: what they imply, whole sets of them, the labels and those like them."""
