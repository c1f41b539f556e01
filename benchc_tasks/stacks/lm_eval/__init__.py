"""Bench-C in lm-evaluation-harness: the model `benchc`, the tasks and the groups."""
