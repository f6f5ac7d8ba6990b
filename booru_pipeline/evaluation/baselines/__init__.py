"""Baselines by counting, rules and linear algebra, which a model has to beat to have learned anything.

All of them are scorers like the model and see the train split only; their settings are chosen on the validation split.
"""
