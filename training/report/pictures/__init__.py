"""The pictures of a report, one module each."""
