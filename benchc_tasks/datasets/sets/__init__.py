"""Sets by name: known benchmarks, and subsets of them that were selected, built on first use."""
