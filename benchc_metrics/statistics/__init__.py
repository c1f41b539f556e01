"""Intervals, tests and comparisons of metrics, by resampling samples."""
