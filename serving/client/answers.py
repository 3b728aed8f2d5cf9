"""What comes back, typed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.client import failures
from serving.errors import ClientError

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Class:
    """One class of a model; `probability` is from 0 to 1."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Strangeness:
    """How unlike the training images one is, by `method`; above `threshold` it is out of distribution."""

    score: float
    threshold: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is on one image.

    The last four are None from a model whose card has no `uncertainty`.

    Attributes:
        request_id: by which the server's log knows the request; empty where the server sends none.
        engine: which of the model's engines computed it: `eager`, or a compiled program's name.
        predictions: the classes that were asked for, the most probable first.
        raw: the same as JSON, to be printed.
        set: the labels of the classes that it may be, the most probable first.
        ood: how strange the image is.
        decision: `accept`, or `refer` to a person.
        reason: why it is referred: `out_of_distribution`, `ambiguous` or `unsure`; else None.
    """

    model: str
    version: str
    request_id: str
    engine: str = "eager"
    predictions: tuple[Class, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    set: tuple[str, ...] | None = None
    ood: Strangeness | None = None
    decision: str | None = None
    reason: str | None = None

    @property
    def best(self) -> Class:
        """The most probable class."""
        return self.predictions[0]


@dataclass(frozen=True, slots=True)
class Target:
    """The class that is explained; `source` is `predicted`, `requested` or `contrast`."""

    label: str
    index: int
    source: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """Difference of the sum of attributions from target_logit - baseline_logit; ok if it is small."""

    delta: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Prediction):
    """What is on one image, and why.

    What a method does not have is None: not all have steps, a baseline and completeness.

    Attributes:
        sentence: where the evidence lies.
        warnings: what to know before it is trusted: the types of docs/http.md.
        target_logit, baseline_logit: the target's logit for the image and for the baseline; in a
            contrast, the difference of two logits.
        overlay_png: the heat map over the image, a PNG file; red speaks for the target, blue against it.
        heatmap_png: the map alone, a pixel for each of its values, likewise.
        raw: the JSON without these pictures, and with all the rest.
    """

    method: str
    target: Target
    sentence: str
    warnings: tuple[str, ...]
    overlay_png: bytes = field(repr=False)
    heatmap_png: bytes = field(repr=False)
    steps: int | None = None
    baseline: str | None = None
    target_logit: float | None = None
    baseline_logit: float | None = None
    completeness: Completeness | None = None


def predictions(reply: Reply, url: str, count: int | None) -> Prediction | list[Prediction]:
    """One prediction, or a list of `count`, in the order in which the images were sent.

    Raises:
        ClientError: the answer is an error, or none of Torchlight's.
    """
    return _each(reply, url, count, lambda raw: Prediction(**_common(raw)))


def explanations(reply: Reply, url: str, count: int | None) -> Explanation | list[Explanation]:
    """One explanation, or a list of `count`, in the order in which the images were sent.

    Raises:
        ClientError: the answer is an error, or none of Torchlight's.
    """
    return _each(reply, url, count, _explanation)


def heat_map(reply: Reply, url: str, count: int | None) -> NDArray[Any]:
    """The signed map: float16 (height, width) of one image, (count, height, width) of a list.

    Raises:
        ClientError: the answer is an error, or no map.
    """
    if reply.status != 200:
        raise failures.of_answer(reply.status, reply.headers, reply.content, url)
    try:
        found: NDArray[Any] = np.lib.format.read_array(io.BytesIO(reply.content), allow_pickle=False)
        if found.dtype != np.float16 or found.ndim not in (2, 3):
            raise ValueError(f"an array {found.dtype} {found.shape}")
        map_shape = found.shape[-2:]
        return found.reshape(map_shape if count is None else (count, *map_shape))
    except ValueError as error:
        kind = reply.headers.get("content-type", "no content type")
        raise ClientError(f"{url} answered with {kind}, not with a heat map ({error}): is the server older?") from None


def ready(reply: Reply, url: str) -> bool:
    """True.

    Raises:
        ClientError: the answer is anything but 200.
    """
    if reply.status != 200:
        raise failures.of_answer(reply.status, reply.headers, reply.content, url)
    return True


def _each(reply: Reply, url: str, count: int | None, read: Callable[[dict[str, Any]], A]) -> A | list[A]:
    if reply.status != 200:
        raise failures.of_answer(reply.status, reply.headers, reply.content, url)
    try:
        whole = json.loads(reply.content)
    except ValueError:
        whole = None
    if not isinstance(whole, dict):
        raise failures.no_json(url, reply.status)
    try:
        results = whole.pop("results", None)
        if "request_id" not in whole and "x-request-id" in reply.headers:
            whole["request_id"] = reply.headers["x-request-id"]
        if "x-model-engine" in reply.headers:
            whole["engine"] = reply.headers["x-model-engine"]
        read_ones = [read({**whole, **result}) for result in ([{}] if results is None else results)]
        if len(read_ones) != (count or 1):
            raise ValueError(f"{len(read_ones)} results for {count or 1} images")
    except (KeyError, TypeError, ValueError) as error:
        raise ClientError(
            f"{url} answered with JSON of another shape ({type(error).__name__}: {error}): is it a Torchlight server?"
        ) from None
    return read_ones[0] if count is None else read_ones


def _common(raw: dict[str, Any]) -> dict[str, Any]:
    classes = tuple(Class(item["label"], item["index"], item["probability"]) for item in raw["predictions"])
    if not classes:
        raise ValueError("no class at all")
    known = {"model": raw["model"], "version": raw["version"], "request_id": raw.get("request_id", "")}
    known["engine"] = raw.get("engine", "eager")
    return {**known, "predictions": classes, "raw": raw, **_judged(raw)}


def _judged(raw: dict[str, Any]) -> dict[str, Any]:
    if "decision" not in raw:
        return {}
    ood = Strangeness(raw["ood"]["score"], raw["ood"]["threshold"], raw["ood"]["method"])
    return {"set": tuple(raw["set"]), "ood": ood, "decision": raw["decision"], "reason": raw["reason"]}


def _explanation(raw: dict[str, Any]) -> Explanation:
    overlay, heatmap = (base64.b64decode(raw.pop(name)) for name in ("overlay_png", "heatmap_png"))
    target, completeness = raw["target"], raw.get("completeness")
    return Explanation(
        **_common(raw),
        method=raw["method"],
        target=Target(target["label"], target["index"], target["source"]),
        sentence=raw["regions"]["sentence"],
        warnings=tuple(warning["type"] for warning in raw["warnings"]),
        overlay_png=overlay,
        heatmap_png=heatmap,
        steps=raw.get("steps"),
        baseline=raw.get("baseline"),
        target_logit=raw.get("target_logit"),
        baseline_logit=raw.get("baseline_logit"),
        completeness=Completeness(completeness["delta"], completeness["ok"]) if completeness else None,
    )
