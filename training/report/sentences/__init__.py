"""Sentences of a report, derived from its figures by rules. No sentence says more than its figures show."""
