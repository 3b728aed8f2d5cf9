"""Costs of explanations on this machine, and the choice that keeps a deadline."""
