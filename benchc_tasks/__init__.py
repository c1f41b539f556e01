"""Bench-C up to the model's response: corruptions, datasets, selection, models and the stacks' tasks."""
