"""The result of an attack: a row of the table in docs/benchmarks/attacks.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one attack: the measurement, and whether the server was defended."""

    attack: str
    measured: str
    holds: bool
