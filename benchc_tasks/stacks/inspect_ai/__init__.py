"""Bench-C in inspect_ai: the task `benchc/benchc`, which inspect_ai finds by an entry point."""
