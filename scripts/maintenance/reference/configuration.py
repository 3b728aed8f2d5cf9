"""Blocks of docs/reference/configuration.md: the keys of model-config.yaml, a recipe, a plan, and config.properties."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from scripts.maintenance import markdown
from scripts.maintenance.reference import keys
from scripts.maintenance.reference.keys import Key
from serving.artifacts.model_config import ModelConfig
from serving.rollout.plan import Plan
from serving.torchserve import properties
from training.recipe import Recipe

# Keys below these are optional, and replace those of the card.
FROM_CARD = ("handler.limits.", "handler.policy.")


def blocks() -> Mapping[str, str]:
    """Return the blocks by name."""
    return {
        "model-config.yaml": keys.sections(model_config()),
        "recipe": keys.sections(keys.keys_of(Recipe)),
        "plan": keys.sections(keys.keys_of(Plan)),
        "config.properties": server_properties(),
    }


def model_config() -> list[Key]:
    """Return the keys of model-config.yaml."""
    return [
        dataclasses.replace(key, default="the card's") if key.name.startswith(FROM_CARD) else key
        for key in keys.keys_of(ModelConfig)
    ]


def server_properties() -> str:
    """Return the settings in config.properties, each with the comment before it."""
    rows, comments = [], []
    for line in properties.FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comments.append(line.removeprefix("#").strip())
        elif not line:
            comments = []
        else:
            key, _, value = line.partition("=")
            rows.append([markdown.code(key), markdown.code(value), " ".join(comments)])
            comments = []
    return markdown.table(["key", "value", "reason"], rows)
