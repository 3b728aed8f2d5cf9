"""Simulations of the tests that decide a rollout (serving/rollout/analysis.py)."""
