"""Figures and sentences beside an attribution: how good it is, and what would change the answer."""
