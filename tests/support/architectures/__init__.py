"""Architectures for archives of tests: `candidates.put` adds them to the code of an archive."""
