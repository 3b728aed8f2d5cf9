"""Answers to predictions, in all protocols, as one entry for each image.

Our own JSON has the members of one image, or `results` for several. KServe's v1 has them under `predictions`. Open
Inference v2 has tensors, as JSON or as binary data. docs/reference/http.md describes them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LENGTH_HEADER = "inference-header-content-length"
_DTYPES = {"INT64": "<i8", "FP32": "<f4"}


class UnreadableAnswer(ValueError):
    """An answer with status 200 has the form of no protocol, or a request left labels out of its answer."""


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """The answer for one image. A member is None if the model or the request leaves it out.

    Attributes:
        probabilities: of the listed classes by label, the most probable first. None if the answer leaves them out.
        set: labels of the prediction set.
    """

    probabilities: Mapping[str, float | None]
    set: tuple[str, ...] | None = None
    ood_score: float | None = None
    decision: str | None = None
    reason: str | None = None
    reason_detail: str | None = None

    @property
    def label(self) -> str:
        """The most probable class."""
        return next(iter(self.probabilities))

    @property
    def confidence(self) -> float | None:
        """The calibrated probability of the label."""
        return self.probabilities[self.label]


def parse(headers: Mapping[str, str], body: bytes) -> list[ImageAnswer]:
    """Return the answer for each image of a response with status 200.

    Args:
        headers: of the response, with names in lower case.

    Raises:
        UnreadableAnswer: the response has another form.
    """
    try:
        length = headers.get(LENGTH_HEADER)
        document = json.loads(body if length is None else body[: int(length)])
        if "outputs" in document:
            images = _from_tensors(document["outputs"], b"" if length is None else body[int(length) :])
        elif "results" in document:
            images = [_from_members(members) for members in document["results"]]
        elif _is_list_of_images(document["predictions"]):
            images = [_from_members(members) for members in document["predictions"]]
        else:
            images = [_from_members(document)]
        if not images or not all(image.probabilities for image in images):
            raise ValueError("it has no predictions")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as error:
        raise UnreadableAnswer(f"the answer has the form of no protocol: {error!r:.200}") from None
    return images


def _is_list_of_images(predictions: Any) -> bool:
    """Return True for v1, whose `predictions` has an entry for each image, and False for the classes of one image."""
    return "predictions" in predictions[0]


def _from_members(members: Mapping[str, Any]) -> ImageAnswer:
    labels = members.get("set")
    return ImageAnswer(
        probabilities={str(entry["label"]): float(entry["probability"]) for entry in members["predictions"]},
        set=None if labels is None else tuple(labels),
        ood_score=float(members["ood"]["score"]) if "ood" in members else None,
        decision=members.get("decision"),
        reason=members.get("reason"),
        reason_detail=members.get("reason_detail"),
    )


def _from_tensors(tensors: list[dict[str, Any]], binary: bytes) -> list[ImageAnswer]:
    """Return the images of output tensors. A request can choose its outputs; then others are unknown."""
    columns: dict[str, list[Any]] = {}
    offset = count = classes = 0
    for tensor in tensors:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = tensor["data"]
        else:
            values = _unpacked(tensor["datatype"], binary[offset : offset + size])
            offset += size
        columns[tensor["name"]] = values
        count = tensor["shape"][0]
        classes = tensor["shape"][1] if len(tensor["shape"]) == 2 else classes
    names = columns.get("label") or [f"class {index}" for index in columns["index"]]
    probabilities = columns.get("probability", [None] * len(names))
    images = []
    for row in range(count):
        cells = slice(row * classes, (row + 1) * classes)
        pairs = zip(names[cells], probabilities[cells], strict=True)
        labels = json.loads(columns["set"][row]) if "set" in columns else None
        images.append(
            ImageAnswer(
                probabilities={str(name): probability for name, probability in pairs},
                set=None if labels is None else tuple(labels),
                ood_score=float(columns["ood_score"][row]) if "ood_score" in columns else None,
                decision=_text(columns, "decision", row),
                reason=_text(columns, "reason", row),
                reason_detail=_text(columns, "reason_detail", row),
            )
        )
    return images


def _text(columns: Mapping[str, list[Any]], name: str, row: int) -> str | None:
    return (columns[name][row] or None) if name in columns else None


def _unpacked(datatype: str, content: bytes) -> list[Any]:
    """Return the elements of binary tensor data (Triton, "Binary Tensor Data Extension")."""
    if datatype != "BYTES":
        values: list[Any] = np.frombuffer(content, _DTYPES[datatype]).tolist()
        return values
    texts, start = [], 0
    while start < len(content):
        (length,) = struct.unpack_from("<I", content, start)
        texts.append(content[start + 4 : start + 4 + length].decode())
        start += 4 + length
    return texts
