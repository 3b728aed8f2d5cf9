"""The result of an attack: a row of the table in docs/security.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One attack, what was measured, and whether the server held."""

    attack: str
    measured: str
    holds: bool
