"""Requests without an image: the readiness of a model, and its inputs and outputs.

A worker answers these itself. TorchServe's own health says Healthy while workers still load.
"""

from __future__ import annotations

from typing import Any

from handlers.protocols import v2
from models.card import Card

ROUTES = ("v1-ready", "v2-ready", "v2-metadata")


def answer(route: str, card: Card) -> dict[str, Any]:
    """Return the JSON for one of ROUTES (KServe V1 and Open Inference Protocol v2 specifications)."""
    if route == "v2-metadata":
        return v2.metadata(card)
    return {"name": card.name, "ready": True}
