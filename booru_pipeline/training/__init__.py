"""Fine-tuning a T5 on tag sets: objective, model start, training payload, calibration, and the predictor."""
