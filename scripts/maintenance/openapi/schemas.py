"""Schemas of deploy/openapi.json: requests, responses and errors."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from pathlib import Path
from typing import get_args

from handlers import errors, options
from handlers.decision import Decision, Reason
from handlers.errors import RequestError
from handlers.explain.validation import CHOICES
from handlers.options import OPTIONS, Option
from handlers.protocols import v1, v2
from models.card import Limits, OutOfDistribution
from scripts.maintenance.openapi.explanation import ALWAYS, SOMETIMES
from scripts.maintenance.openapi.schema_types import COUNT, NUMBER, SHARE, WORD, Schema, any_of, many, object_of, schema
from serving.proxy import haproxy
from serving.proxy.haproxy import ProxyConfig, Tokens
from serving.torchserve import properties

LIMITS = Limits()


def max_body() -> int:
    """Return the maximum size of a body in bytes, for TorchServe and the proxy."""
    return int(properties.load()["max_request_size"])


def handler_errors() -> dict[str, int]:
    """Return the error types of a worker, with their status."""
    return {kind.__name__: kind.status for kind in RequestError.__subclasses__() if kind.__module__ == errors.__name__}


def proxy_errors() -> dict[str, int]:
    """Return the error types of the proxy itself, with their status, read from its configuration."""
    nowhere = Path("nowhere")
    production = ProxyConfig("127.0.0.1", 1, 1, 1, 1, nowhere, nowhere, max_body(), 1, Tokens("inference", "public"))
    development = dataclasses.replace(production, tokens=Tokens("inference"))
    text = haproxy.render(production) + haproxy.render(development)
    errors_by_type: dict[str, int] = {}
    for status, kind in re.findall(r'\{"code":(\d{3}),"type":"(\w+)"', text):
        assert errors_by_type.setdefault(kind, int(status)) == int(status), f"{kind} has two statuses"
    return errors_by_type


def all_errors() -> dict[str, int]:
    """Return every error type, with its status."""
    return handler_errors() | proxy_errors()


def _error() -> Schema:
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for kind, status in all_errors().items():
        by_status[status].append(kind)
    # if, then and else list the types of each status: code generators make several classes from oneOf.
    rule: Schema = {}
    for status, kinds in sorted(by_status.items(), reverse=True):
        allowed = {"properties": {"type": {"enum": sorted(kinds)}}}
        rule = {"if": {"properties": {"code": {"const": status}}}, "then": allowed, "else": rule or False}
    types = {**WORD, "enum": sorted(all_errors())}
    return {**object_of({"code": {"type": "integer"}, "type": types, "message": WORD}), **rule}


def options_for(kind: str) -> list[Option]:
    """Return the options of a request of this kind."""
    names = options.accepted(kind)
    return [option for option in OPTIONS if option.name in names]


def option_schema(option: Option) -> Schema:
    """Return the schema of an option, with the values that the explanation plug-in defines."""
    choices = {"enum": list(CHOICES[option.name])} if option.name in CHOICES else {}
    return {**option.schema, **choices, "description": option.description}


def _requests(kind: str) -> Schema:
    """Return the JSON bodies of a kind of request: native, KServe V1 and Open Inference Protocol."""
    members = {option.name: schema(option.name) for option in options_for(kind)}
    parameters = object_of(members, [], more=False)
    name = kind.capitalize()
    instances = many(schema("Instance"), LIMITS.max_images)
    inputs = {"type": "array", "minItems": 1, "maxItems": 1, "items": schema("Input")}
    in_v2 = object_of({**members, "binary_data_output": {"type": "boolean"}}, [], more=False)
    return {
        name: object_of({"image": schema("Base64"), **members}, ["image"], more=False),
        f"{name}V1": object_of(
            {"instances": instances, "signature_name": WORD, "parameters": parameters, **members},
            ["instances"],
            more=False,
        ),
        f"{name}V2": object_of(
            {
                "id": WORD,
                "inputs": inputs,
                "parameters": in_v2,
                "outputs": {"type": "array", "items": _REQUESTED_OUTPUT},
            },
            ["inputs"],
        ),
    }


def _instance(member: str, image: Schema) -> Schema:
    """Return an instance of KServe V1 with the image in this member."""
    beside = {v1.KEY: {"type": ["string", "integer"], "maxLength": v1.MAX_KEY}, v1.TARGET: schema("target")}
    return object_of({member: image, **beside}, [member], more=False)


def _one_or_many(name: str, result: str) -> Schema:
    """Return the response schemas for one image, with the result beside the model's name, and for several.

    Each schema has a name, and none refers to itself: code generators skip other schemas.
    """
    return {
        f"{name}Image": {"allOf": [schema("ModelVersion"), schema(result)]},
        f"{name}Images": object_of({**_MODEL_VERSION, "results": many(schema(result))}),
        name: any_of(f"{name}Image", f"{name}Images"),
    }


_MODEL_VERSION: Schema = {"model": WORD, "version": WORD, "request_id": WORD}


_ANY_LIST: Schema = {"type": "array", "items": {}}
_METHOD: Schema = {"enum": list(get_args(OutOfDistribution.model_fields["score"].annotation))}
_OUTPUTS = [*v2.OUTPUTS, *v2.UNCERTAINTY_OUTPUTS, v2.EXPLANATION]
_REQUESTED_OUTPUT = object_of(
    {
        "name": {"enum": _OUTPUTS},
        "parameters": object_of({"binary_data": {"type": "boolean"}}, [], more=False),
    },
    ["name"],
)


def schemas() -> Schema:
    """Return all schemas by name."""
    options_by_name: Schema = {option.name: option_schema(option) for option in OPTIONS}
    uncertainty = {
        "set": many(WORD),
        "ood": object_of({"score": NUMBER, "threshold": NUMBER, "method": _METHOD}),
        "decision": {"enum": list(get_args(Decision))},
        "reason": {"enum": [*get_args(Reason), None]},
    }
    prediction = {"predictions": schema("Classes"), **uncertainty}
    pixels = f"at most {LIMITS.max_pixels} pixels, {LIMITS.max_request_pixels} in a request"
    return {
        **options_by_name,
        "File": {
            **WORD,
            "format": "binary",
            "maxLength": LIMITS.max_bytes,
            "description": f"a JPEG, PNG, WebP or .npy file; {pixels}; any content type is accepted",
        },
        "Base64": {**WORD, "format": "byte", "description": "a file as base64 or as a data: URL"},
        "Pixels": {
            **many(many({})),
            "description": "H x W, H x W x C or C x H x W; integers to 255, or floats to 1.0",
        },
        "Image": any_of("Base64", "Pixels", "Encoded"),
        "Encoded": object_of({"b64": schema("Base64")}, more=False),
        "Instance": {
            "anyOf": [
                schema("Base64"),
                schema("Pixels"),
                _instance("b64", schema("Base64")),
                *(_instance(name, schema("Image")) for name in v1.IMAGE_MEMBERS),
            ]
        },
        "Input": object_of(
            {
                "name": WORD,
                "datatype": {"enum": ["BYTES", *v2.PIXELS]},
                "shape": schema("Shape"),
                "data": _ANY_LIST,
                "parameters": schema("BinarySize"),
            },
            ["datatype", "shape"],
        ),
        **_requests("predict"),
        **_requests("explain"),
        "Classes": many(
            object_of(
                {"label": WORD, "index": COUNT, "probability": SHARE, "raw_probability": SHARE},
                ["label", "index", "probability"],
            )
        ),
        "Prediction": object_of(prediction, ["predictions"])
        | {"description": "set, ood, decision and reason are present if the card has uncertainty"},
        "Explanation": object_of({**prediction, **ALWAYS, **SOMETIMES}, ["predictions", *ALWAYS]),
        "ModelVersion": object_of(_MODEL_VERSION),
        **_one_or_many("Predicted", "Prediction"),
        **_one_or_many("Explained", "Explanation"),
        "PredictedV1": object_of({"predictions": many(schema("Prediction"))}),
        "ExplainedV1": object_of({"explanations": many(schema("Explanation"))}),
        "InferResponse": object_of(
            {
                "model_name": WORD,
                "model_version": WORD,
                "id": WORD,
                "outputs": many(
                    object_of(
                        {
                            "name": {"enum": _OUTPUTS},
                            "datatype": {"enum": ["BYTES", "INT64", "FP32"]},
                            "shape": schema("Shape"),
                            "data": _ANY_LIST,
                            "parameters": schema("BinarySize"),
                        },
                        ["name", "datatype", "shape"],
                    )
                ),
            }
        ),
        "Tensors": many(
            object_of({"name": WORD, "datatype": WORD, "shape": {"type": "array", "items": {"type": "integer"}}})
        ),
        "Shape": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "integer", "minimum": 1}},
        "BinarySize": object_of({"binary_data_size": COUNT}, []),
        "Error": _error(),
    }
