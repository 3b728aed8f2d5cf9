"""Errors of compilation."""

from __future__ import annotations


class CompileError(ValueError):
    """A release cannot be compiled here, or not to the requested engine. The message says what to do."""
