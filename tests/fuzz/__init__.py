"""Fuzzing of a running server: a corpus of bad requests, and clients that send them among good ones."""
