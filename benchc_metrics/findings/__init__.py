"""Sentences that the data of a set of runs support."""
