"""One file for each subcommand of `bnconform`."""
