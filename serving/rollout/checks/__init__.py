"""Checks of a candidate, one in each file. A check turns figures into a verdict."""
