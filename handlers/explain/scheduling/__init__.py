"""Costs of explanations on this machine, and the choice of a method for a deadline."""
