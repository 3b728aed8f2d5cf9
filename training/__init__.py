"""Training: data, training loop, evaluation, and writing of releases."""
