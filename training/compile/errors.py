"""Errors of compilation."""

from __future__ import annotations


class CompileError(ValueError):
    """A program cannot be compiled here or for this release; the message says what to do."""
