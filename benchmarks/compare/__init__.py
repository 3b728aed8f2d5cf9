"""Comparison of Torchlight with other servers of the same model; see `python -m benchmarks.compare --help`."""
