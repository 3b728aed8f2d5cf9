"""Asking a classifier, reading what it answered, and comparing two answers."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
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


def assert_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the last digit of float32 sums, and the next color or a digit of the pictures."""
    assert list(one) == list(other)
    for key, value in one.items():
        if key == "results":
            for left, right in zip(value, other[key], strict=True):
                assert_alike(left, right)
        elif key == "predictions":
            assert [entry["label"] for entry in value] == [entry["label"] for entry in other[key]]
            found = [entry["probability"] for entry in value]
            assert found == pytest.approx([entry["probability"] for entry in other[key]], abs=2e-6)
        elif key in ("overlay_png", "heatmap_png"):
            assert (np.abs(picture(one[key]) - picture(other[key])).max(axis=2) > 4).mean() <= 0.002
        elif key == "milliseconds":
            pass
        elif key == "completeness":
            assert value["ok"] is other[key]["ok"]
            assert value["delta"] == pytest.approx(other[key]["delta"], abs=1e-4)
        elif key == "ood":
            assert value == {**other[key], "score": pytest.approx(other[key]["score"], rel=1e-3)}
        elif isinstance(value, float):
            assert value == pytest.approx(other[key], abs=1e-4)
        else:
            assert value == other[key]


def unnamed(card: Card) -> Card:
    """The card for a network whose layers have other names: it names none."""
    return card.model_copy(update={"explanations": Explanations()})
