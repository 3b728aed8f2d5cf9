"""Responses of the server, parsed into typed values."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torchlight_client import failures

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP response. Header names are in lower case."""

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
class OodScore:
    """Out-of-distribution score of an image, by `method`; above `threshold` the image is out of distribution."""

    score: float
    threshold: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Prediction for one image.

    `set`, `ood`, `decision`, `reason` and `reason_detail` are None if the model's card has no `uncertainty`.

    Attributes:
        request_id: id of the request in the server's log; empty if the server sends none.
        engine: the engine that computed it: `eager`, or the name of a compiled engine.
        predictions: the requested number of classes, the most probable first.
        raw: the same as JSON.
        set: the prediction set: labels of the classes that the image may show, the most probable first; None if the
            model gives no sets.
        ood: out-of-distribution score of the image.
        decision: `accept`, or `refer` to a person.
        reason: reason for a referral: `out_of_distribution`, `ambiguous` or `unsure`; else None.
        reason_detail: what is unlike the training images, if that is the reason: `colors`, `brightness`, `sharpness` or
            `content`.
    """

    model: str
    version: str
    request_id: str
    engine: str = "eager"
    predictions: tuple[Class, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    set: tuple[str, ...] | None = None
    ood: OodScore | None = None
    decision: str | None = None
    reason: str | None = None
    reason_detail: str | None = None

    @property
    def best(self) -> Class:
        """Return the most probable class."""
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
    """Prediction for one image, with its explanation.

    Steps, baseline and completeness are None if the method has none.

    Attributes:
        sentence: describes where the evidence lies.
        warnings: types of warnings, such as `low_confidence`, that limit what the explanation shows.
        target_logit, baseline_logit: the target's logit for the image and for the baseline; in a
            contrast, the difference of two logits.
        overlay_png: the heat map over the image, as a PNG file; red supports the target, blue opposes it. It has no
            color if `warnings` has `no_evidence`.
        heatmap_png: the heat map without the image, as a PNG file with one pixel for each value.
        raw: the JSON without the two PNG files.
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


def predictions(response: HttpResponse, url: str, count: int | None) -> Prediction | list[Prediction]:
    """Return one prediction, or a list of `count` in the order of the images.

    Raises:
        TorchlightError: the response is an error, or does not come from Torchlight.
    """
    return _map(response, url, count, lambda raw: Prediction(**_common(raw)))


def explanations(response: HttpResponse, url: str, count: int | None) -> Explanation | list[Explanation]:
    """Return one explanation, or a list of `count` in the order of the images.

    Raises:
        TorchlightError: the response is an error, or does not come from Torchlight.
    """
    return _map(response, url, count, _explanation)


def ready(response: HttpResponse, url: str) -> bool:
    """Return True.

    Raises:
        TorchlightError: the status is not 200.
    """
    if response.status != 200:
        raise failures.error_response(response.status, response.headers, response.content, url)
    return True


def _map(response: HttpResponse, url: str, count: int | None, read: Callable[[dict[str, Any]], A]) -> A | list[A]:
    if response.status != 200:
        raise failures.error_response(response.status, response.headers, response.content, url)
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise failures.invalid_response(url, "no JSON object")
    try:
        results = document.pop("results", None)
        if "request_id" not in document and "x-request-id" in response.headers:
            document["request_id"] = response.headers["x-request-id"]
        if "x-model-engine" in response.headers:
            document["engine"] = response.headers["x-model-engine"]
        items = [read({**document, **result}) for result in ([{}] if results is None else results)]
        if len(items) != (count or 1):
            raise ValueError(f"{len(items)} results for {count or 1} images")
    except (KeyError, TypeError, ValueError) as error:
        raise failures.invalid_response(url, f"JSON of another shape ({type(error).__name__}: {error})") from None
    return items[0] if count is None else items


def _common(raw: dict[str, Any]) -> dict[str, Any]:
    classes = tuple(Class(item["label"], item["index"], item["probability"]) for item in raw["predictions"])
    if not classes:
        raise ValueError("no classes")
    fields = {"model": raw["model"], "version": raw["version"], "request_id": raw.get("request_id", "")}
    fields["engine"] = raw.get("engine", "eager")
    return {**fields, "predictions": classes, "raw": raw, **_uncertainty(raw)}


def _uncertainty(raw: dict[str, Any]) -> dict[str, Any]:
    if "decision" not in raw:
        return {}
    ood = OodScore(raw["ood"]["score"], raw["ood"]["threshold"], raw["ood"]["method"])
    labels = None if raw["set"] is None else tuple(raw["set"])
    fields = {name: raw[name] for name in ("decision", "reason", "reason_detail")}
    return {"set": labels, "ood": ood, **fields}


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
