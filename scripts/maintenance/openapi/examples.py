"""Examples of requests and responses, for the model `digits`. A test checks them against the schemas."""

from __future__ import annotations

from typing import Any

from serving import VERSION

# An image of 8 x 8 pixels.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAU0lEQVR42gFIALf/AAArqtvYkxUAAwEaGMwHOcDkAAAHE1PJsBkAAAAAFLzWNwAAAgAA"
    "ChTN2AAAAgAA7swmDgAAAgAELBzB8gAAAAAhzcgoAAAAsQgRh5ZdGBUAAAAASUVORK5CYII="
)
WEBP = "UklGRjwAAABXRUJQVlA4IDAAAACQAQCdASoIAAgAB0CWJaQAAp02KwAA/q2UNggdgktoIVDCEGTu3s7S5yz0bkLnAAA="

SUMMARIES = {
    "native": "One image, with options beside it",
    "instances": "Two images, in the shape of KServe V1",
    "inputs": "Two images, in the shape of the Open Inference Protocol",
    "one": "One image",
    "several": "Two images",
    "explanation": "One image with its explanation",
    "explanations": "One instance with its explanation",
    "model_ready": "The model is ready",
    "metadata": "A model of ten classes",
    "models": "A server with one model",
    "status": "The server can be used",
    "live": "The proxy runs",
    "ready": "Every model is ready",
    "server": "This server",
    "refused": "A file that is not an image",
    "failed": "Too many requests wait",
    "not_ready": "A model without workers",
}

_PREDICTION: dict[str, Any] = {
    "predictions": [
        {"label": "3", "index": 3, "probability": 0.939575},
        {"label": "7", "index": 7, "probability": 0.060349},
    ],
    "set": ["3", "7"],
    "ood": {"score": 1.1912, "threshold": 2.1348, "method": "relative_mahalanobis"},
    "decision": "accept",
    "reason": None,
    "reason_detail": None,
}
_REFERRED: dict[str, Any] = {
    "predictions": [
        {"label": "4", "index": 4, "probability": 0.61},
        {"label": "9", "index": 9, "probability": 0.37},
    ],
    "set": ["4", "9"],
    "ood": {"score": 1.5665, "threshold": 2.1348, "method": "relative_mahalanobis"},
    "decision": "refer",
    "reason": "unsure",
    "reason_detail": None,
}
_EXPLANATION: dict[str, Any] = _PREDICTION | {
    "predictions": [{"label": "3", "index": 3, "probability": 0.939575, "raw_probability": 0.9412}],
    "method": "ig",
    "steps": 50,
    "baseline": "blur",
    "target": {"label": "3", "index": 3, "source": "predicted", "probability": 0.939575, "raw_probability": 0.9412},
    "target_logit": 8.4127,
    "baseline_logit": 1.2031,
    "completeness": {"delta": 0.0112, "ok": True},
    "regions": {
        "for": [{"box": [30, 6, 66, 36], "share": 0.6}],
        "against": [],
        "balance": 0.81,
        "sentence": 'About 60 % of the evidence for "3" lies in the middle of the top.',
    },
    "warnings": [],
    "milliseconds": 22.4,
    "neighbors": [{"label": "3", "index": 3, "distance": 0.0312, "thumbnail": WEBP}],
    "overlay_png": PNG,
    "heatmap_png": PNG,
}
_MODEL = {"model": "digits", "version": "1.0", "request_id": "87c3f2a1-5a37-4882-bfe5-7e247c0cc658"}

PREDICTED = _MODEL | _PREDICTION
PREDICTED_IMAGES = _MODEL | {"results": [_PREDICTION, _REFERRED]}
EXPLAINED = _MODEL | _EXPLANATION
PREDICTED_V1 = {"predictions": [_PREDICTION, _REFERRED]}
EXPLAINED_V1 = {"explanations": [_EXPLANATION]}
INFERRED = {
    "model_name": "digits",
    "model_version": "1.0",
    "id": "42",
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["3", "7", "4", "9"]},
        {"name": "probability", "datatype": "FP32", "shape": [2, 2], "data": [0.73625, 0.225828, 0.61, 0.37]},
        {"name": "decision", "datatype": "BYTES", "shape": [2], "data": ["accept", "refer"]},
    ],
}
MODEL_READY = {"name": "digits", "ready": True}
METADATA = {
    "name": "digits",
    "versions": ["1.0"],
    "platform": "pytorch_torchserve",
    "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [-1, -1]},
        {"name": "index", "datatype": "INT64", "shape": [-1, -1]},
        {"name": "probability", "datatype": "FP32", "shape": [-1, -1]},
    ],
}
SERVER = {"name": "torchlight", "version": VERSION, "extensions": ["binary_tensor_data"]}
REFUSED = {"code": 415, "type": "UnsupportedImage", "message": "image: this is plain text, not JPEG, PNG or WebP"}
FAILED = {
    "code": 503,
    "type": "Overloaded",
    "message": (
        "the queue of this model is full or its workers are starting; try again after the seconds in Retry-After"
    ),
}
NOT_READY = {"code": 503, "type": "NotReady", "message": "digits 1.0 has no READY predict worker (0 of 1)"}


def _options(kind: str) -> dict[str, Any]:
    """Return options of a request of this kind."""
    return {"top_k": 2} if kind == "predict" else {"top_k": 2, "target": "3", "sign": "positive"}


def native(kind: str) -> dict[str, Any]:
    """Return a body of our own shape."""
    return {"image": PNG, **_options(kind)}


def v1(kind: str) -> dict[str, Any]:
    """Return a body of KServe V1."""
    return {"instances": [PNG, {"image_bytes": {"b64": PNG}}], "parameters": _options(kind)}


def v2(kind: str) -> dict[str, Any]:
    """Return a body of the Open Inference Protocol."""
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": [PNG, PNG]}
    outputs = ["label", "probability", "decision", *(["explanation"] if kind == "explain" else [])]
    names = [{"name": name} for name in outputs]
    return {"id": "42", "inputs": [tensor], "parameters": _options(kind), "outputs": names}
