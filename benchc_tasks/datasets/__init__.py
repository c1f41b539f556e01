"""Datasets of Bench-C: the sample schema, loading and checking, the bundled demonstration set."""
