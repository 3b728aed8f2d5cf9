"""Measurements: a module for each kind of part, and the ceiling. Each measures, and formats its figures as Markdown."""
