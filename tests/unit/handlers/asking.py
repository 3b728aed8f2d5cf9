"""Asking a classifier, reading what it answered, and comparing two answers."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from handlers.pipeline import Answer
from handlers.request import Incoming, Kind, Part
from models.card import Card, Explanations


def request(*contents: bytes, kind: Kind = "predict", **options: str) -> Incoming:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    names = ["image", *(f"image#{number}" for number in range(2, len(contents) + 1))][: len(contents)]
    parts = tuple(Part(name, content) for name, content in zip(names, contents, strict=True))
    return Incoming(kind, parts, {"x-torchlight-query": query}, request_id="r-1")


def body(answer: Answer) -> dict[str, Any]:
    document = json.loads(answer.body)
    assert isinstance(document, dict)
    return document


def labels(answer: Answer) -> list[str]:
    return [entry["label"] for entry in body(answer)["predictions"]]


def picture(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")).astype(int)


def unnamed(card: Card) -> Card:
    """The card for a network whose layers have other names: it names none."""
    return card.model_copy(update={"explanations": Explanations()})
