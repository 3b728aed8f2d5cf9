"""Loading of an engine by its name."""

from __future__ import annotations

from pathlib import Path

import torch

from handlers.engines import EAGER, Engine, EngineError
from handlers.engines.compiled import Program
from handlers.engines.eager import Eager
from models.card import Card


def load(folder: Path, card: Card, name: str, device: torch.device) -> Engine:
    """Load `eager`, or one of the card's compiled engines, from a release folder or an unpacked .mar.

    Raises:
        EngineError: no engine has this name, or it cannot be loaded here.
    """
    if name == EAGER:
        return Eager.load(folder, card, device)
    entry = next((entry for entry in card.engines if entry.name == name), None)
    if entry is None:
        there = ", ".join((*(entry.name for entry in card.engines), EAGER))
        raise EngineError(f"there is no engine {name!r}: the card has {there}")
    return Program.load(folder, card, entry, device)
