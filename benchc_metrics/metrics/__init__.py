"""The metrics, as functions of distributions and of sums over samples."""
