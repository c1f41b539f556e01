"""Bench-C up to the model's answer: corruptions, datasets, selection, scorers and the lmms-eval task."""
