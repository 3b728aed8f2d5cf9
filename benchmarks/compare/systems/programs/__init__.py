"""The servers themselves. Each runs in its peer's environment and imports, of this repository, models alone."""
