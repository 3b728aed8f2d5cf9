"""The schemas of deploy/openapi.json: what goes in and comes out, and what can be wrong."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from pathlib import Path
from typing import get_args

from handlers import errors, options, table
from handlers.decision import Decision, Reason
from handlers.errors import RequestError
from handlers.protocols import v2
from models.card import Limits, OutOfDistribution
from scripts.openapi.explained import ALWAYS, SOMETIMES
from scripts.openapi.words import COUNT, NUMBER, SHARE, WORD, Schema, many, object_of, schema
from serving import frontdoor, properties
from serving.frontdoor import FrontDoor, Tokens

LIMITS = Limits()


def max_body() -> int:
    """The largest body in bytes: TorchServe's and the front door's."""
    return int(properties.load()["max_request_size"])


def handler_errors() -> dict[str, int]:
    """The type words of a worker's errors, and their status."""
    return {kind.__name__: kind.status for kind in RequestError.__subclasses__() if kind.__module__ == errors.__name__}


def door_errors() -> dict[str, int]:
    """The type words of the errors that the front door answers itself, read from its configuration."""
    nowhere = Path("nowhere")
    production = FrontDoor("127.0.0.1", 1, 1, 1, nowhere, nowhere, max_body(), 1, Tokens("inference", "public"))
    development = dataclasses.replace(production, tokens=Tokens("inference"))
    text = frontdoor.render(production) + frontdoor.render(development)
    found: dict[str, int] = {}
    for status, kind in re.findall(r'\{"code":(\d{3}),"type":"(\w+)"', text):
        assert found.setdefault(kind, int(status)) == int(status), f"{kind} has two statuses"
    return found


def all_errors() -> dict[str, int]:
    """Every type word, and its status."""
    return handler_errors() | door_errors()


def _error() -> Schema:
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for kind, status in all_errors().items():
        by_status[status].append(kind)
    return {
        **object_of({"code": {"type": "integer"}, "type": WORD, "message": WORD}),
        "oneOf": [
            {"properties": {"code": {"const": status}, "type": {"enum": sorted(kinds)}}}
            for status, kinds in sorted(by_status.items())
        ],
    }


def options_for(kind: str) -> list[table.Option]:
    """The options that a request of this kind may have."""
    names = options.accepted(kind)
    return [option for option in table.TABLE if option.name in names]


def _requests(kind: str) -> Schema:
    """The JSON bodies of a kind of request: our own, KServe's V1, the Open Inference Protocol's."""
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
            {"id": WORD, "inputs": inputs, "parameters": in_v2, "outputs": {"type": "array", "items": _WANTED}},
            ["inputs"],
        ),
    }


_METHOD: Schema = {"enum": list(get_args(OutOfDistribution.model_fields["score"].annotation))}
_OUTPUTS = [*v2.OUTPUTS, *v2.TRUSTED, v2.EXPLANATION]
_WANTED = object_of(
    {
        "name": {"enum": _OUTPUTS},
        "parameters": object_of({"binary_data": {"type": "boolean"}}, [], more=False),
    },
    ["name"],
)


def schemas() -> Schema:
    """All schemas by name."""
    found: Schema = {option.name: {**option.schema, "description": option.says} for option in table.TABLE}
    judged = {
        "set": many(WORD),
        "ood": object_of({"score": NUMBER, "threshold": NUMBER, "method": _METHOD}),
        "decision": {"enum": list(get_args(Decision))},
        "reason": {"enum": [*get_args(Reason), None]},
    }
    one = {"predictions": schema("Classes"), **judged}
    own = {"model": WORD, "version": WORD, "request_id": WORD}
    pixels = f"at most {LIMITS.max_pixels} pixels, {LIMITS.max_request_pixels} in a request"
    return {
        **found,
        "File": {
            **WORD,
            "format": "binary",
            "maxLength": LIMITS.max_bytes,
            "description": f"JPEG, PNG or WebP; {pixels}",
        },
        "Base64": {**WORD, "format": "byte", "description": "a file in base64, or its data: URL"},
        "Pixels": {**many(many({})), "description": "H x W, H x W x C or C x H x W; 0 to 255, or 0.0 to 1.0"},
        "Instance": {
            "anyOf": [
                schema("Base64"),
                schema("Pixels"),
                object_of({"b64": schema("Base64")}, more=False),
                object_of({"image_bytes": schema("Instance")}, more=False),
                object_of({"image": schema("Instance")}, more=False),
            ]
        },
        "Input": object_of(
            {
                "name": WORD,
                "datatype": {"enum": ["BYTES", *v2.PIXELS]},
                "shape": schema("Shape"),
                "data": {"type": "array"},
                "parameters": schema("Size"),
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
        "Found": object_of(one, ["predictions"]) | {"description": "the rest where the card has trust"},
        "Why": object_of({**one, **ALWAYS, **SOMETIMES}, ["predictions", *ALWAYS]),
        "Predicted": {
            **object_of(own),
            "anyOf": [schema("Found"), object_of({"results": many(schema("Found"))})],
        },
        "Explained": {
            **object_of(own),
            "anyOf": [schema("Why"), object_of({"results": many(schema("Why"))})],
        },
        "PredictedV1": object_of({"predictions": many(schema("Found"))}),
        "ExplainedV1": object_of({"explanations": many(schema("Why"))}),
        "AnswerV2": object_of(
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
                            "data": {"type": "array"},
                            "parameters": schema("Size"),
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
        "Size": object_of({"binary_data_size": COUNT}, []),
        "Error": _error(),
    }
