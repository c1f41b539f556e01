"""The report: one file that shows what runs of the benchmark found."""
