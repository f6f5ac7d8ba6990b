"""Fine-tuning a T5 on tag sets: the payload, its options, the loop, and the states that it goes on from."""
