"""Ask a checkpoint what labels imply, count beside it how often that is so, and draw whole tag sets from it."""
