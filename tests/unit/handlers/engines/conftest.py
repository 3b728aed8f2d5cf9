"""The optimized digits, for the tests of what loads them."""

from __future__ import annotations

from tests.unit.training.compile.conftest import compiled, own_compiled

__all__ = ["compiled", "own_compiled"]
