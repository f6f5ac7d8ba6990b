"""Questions that a person would ask of the model: does it know what one label says of the others?"""
