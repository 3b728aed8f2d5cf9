"""Block of docs/reference/model-card.md: the keys of card.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from models.card import Card
from scripts.maintenance.reference import keys


def blocks() -> Mapping[str, str]:
    """Return the block by its name."""
    return {"card.yaml": keys.sections(keys.keys_of(Card))}
