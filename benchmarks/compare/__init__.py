"""Every figure of the performance table, from one command; see `python -m benchmarks.compare --help`."""
