"""Phases of a rollout, each with what happens in it. `PHASES` in advance.py has them by name."""
