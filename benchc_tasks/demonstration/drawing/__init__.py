"""Draw the bundled demonstration set."""
