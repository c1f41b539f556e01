"""Bench-C from the model's answer on: option distributions, RAS, calibration, records, reports."""
