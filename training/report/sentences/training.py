"""Sentences about the curves of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.card import Input


def curves(recipe: Mapping[str, Any] | None, spec: Input) -> str:
    """Return what the curves were measured on; `recipe` is a dump of training.recipe.Recipe."""
    changes = _changes(recipe or {}, spec)
    changed = f" changed at random ({', '.join(changes)})" if changes else ", not augmented"
    smoothed = (recipe or {}).get("loss", {}).get("label_smoothing")
    loss = "the recipe's loss, with smoothed labels" if smoothed else "the recipe's loss"
    return (
        f"Dashed: {loss} on the training images{changed}, while the weights change during the epoch. Solid: the "
        "calibration images as they are served, after the epoch. A solid loss that rises while the dashed one falls is "
        "a sign of overfitting."
    )


def _changes(recipe: Mapping[str, Any], spec: Input) -> list[str]:
    augmentation = recipe.get("augmentation", {})
    changes = [name for name in ("flip", "color", "cutout", "mixup") if augmentation.get(name)]
    if augmentation.get("crop") or spec.pre_crop_size != spec.size:
        changes.insert(0, "crop")
    if recipe.get("progressive"):
        changes.append("smaller in the first epochs")
    return changes
