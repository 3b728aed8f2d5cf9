"""Measure a model's settings on this machine, and choose them."""
