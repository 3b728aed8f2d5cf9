"""Scales of OOD scores for cards of tests."""

from __future__ import annotations

from models.card import Scale

# The score is the distance itself.
UNSCALED = Scale(median=0.0, upper=1.0, logarithmic=False)
