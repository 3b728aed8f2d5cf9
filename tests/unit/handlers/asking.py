"""Helpers that send requests to a classifier, read its responses, and compare two of them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from handlers.classifier import Classifier
from handlers.explain.explainer import Explainer
from handlers.explain.plugin import AttributionPlugin
from handlers.pipeline import Pipeline
from handlers.protocols import Response
from handlers.request import Kind, Part, RawRequest
from models.card import Card, Explanations


def request(*contents: bytes, kind: Kind = "predict", **options: str) -> RawRequest:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    names = ["image", *(f"image#{number}" for number in range(2, len(contents) + 1))][: len(contents)]
    parts = tuple(Part(name, content) for name, content in zip(names, contents, strict=True))
    return RawRequest(kind, parts, {"x-torchlight-query": query}, request_id="r-1")


@lru_cache(maxsize=64)
def pipeline(classifier: Classifier) -> Pipeline:
    """Return the pipeline of a classifier, the same one each time."""
    return Pipeline(classifier, AttributionPlugin)


def respond(classifier: Classifier, batch: Sequence[RawRequest]) -> list[Response]:
    """Answer a batch by the classifier's pipeline."""
    return pipeline(classifier).answer(batch)


def explainer(classifier: Classifier) -> Explainer:
    """Return the explainer of a classifier's pipeline."""
    plugin = pipeline(classifier).explanations
    assert isinstance(plugin, AttributionPlugin)
    return plugin.explainer


def body(answer: Response) -> dict[str, Any]:
    document = json.loads(answer.body)
    assert isinstance(document, dict)
    return document


def labels(answer: Response) -> list[str]:
    return [entry["label"] for entry in body(answer)["predictions"]]


def picture(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")).astype(int)


def unnamed(card: Card) -> Card:
    """The card for a network whose layers have other names: it names none."""
    return card.model_copy(update={"explanations": Explanations()})
