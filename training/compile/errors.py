"""What goes wrong with compiling."""

from __future__ import annotations


class CompileError(ValueError):
    """A program cannot be compiled here, or not for this release; the message says what to do."""
