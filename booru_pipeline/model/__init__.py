"""A T5 that is asked: how it starts, what it is trained for, how it ranks labels."""
