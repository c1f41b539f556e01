"""One module for each subcommand of `benchc`."""
