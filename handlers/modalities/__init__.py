"""Kinds of input of a model: one package each."""
