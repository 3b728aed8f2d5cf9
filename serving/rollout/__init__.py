"""Versions of a model on a running server: register, promote, roll back, retire."""
