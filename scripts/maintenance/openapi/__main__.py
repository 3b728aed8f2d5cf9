"""Write deploy/openapi.json, the OpenAPI 3.1 description of the HTTP contract that the proxy serves.

For example:

    torchlight maintenance openapi
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts import cli
from scripts.maintenance.openapi import components
from scripts.maintenance.openapi.schema_types import ref
from serving import VERSION
from serving.web.documents import OPENAPI

_DESCRIPTION = """\
Classify images and explain the predictions. PUT is the same as POST on every path. A path without a version uses the \
default version. The same port serves the Open Inference Protocol by gRPC (h2c). Errors have \
code, type and message."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document: paths are defined here, components in components.py."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Torchlight", "version": VERSION, "description": _DESCRIPTION},
        "security": [{}, {"bearer": []}],
        "paths": _paths(),
        "components": components.components(),
    }


def render() -> str:
    """Return the text of the file, without blanks: it must fit into HAProxy's buffer."""
    return json.dumps(document(), separators=(",", ":"), ensure_ascii=False) + "\n"


def _paths() -> dict[str, Any]:
    predict, explain = components.options_of("predict"), components.options_of("explain")
    native = {
        "/predictions/{model}": _inference("predict", "Predict images", "Predict", "Predicted", predict),
        "/explanations/{model}": _inference("explain", "Predict and explain images", "Explain", "Explained", explain),
    }
    v1 = {
        "/v1/models/{model}:predict": _inference(
            "predictV1", "Predict (KServe V1)", "PredictV1", "PredictedV1", predict
        ),
        "/v1/models/{model}:explain": _inference(
            "explainV1", "Predict and explain (KServe V1)", "ExplainV1", "ExplainedV1", explain
        ),
        "/v1/models/{model}": _get("readyV1", "Check that a model is ready (KServe V1)", "ModelReady"),
    }
    length = [components.LENGTH]
    v2 = {
        "/v2/models/{model}/infer": _inference(
            "predictV2", "Predict (Open Inference Protocol)", "PredictV2", "PredictedV2", [*predict, *length]
        ),
        "/v2/models/{model}/explain": _inference(
            "explainV2",
            "Predict and explain (Open Inference Protocol)",
            "ExplainV2",
            "PredictedV2",
            [*explain, *length],
        ),
        "/v2/models/{model}": _get("metadata", "Describe the input and output tensors of a model", "Metadata"),
        "/v2/models/{model}/ready": _get("ready", "Check that a model is ready", "ModelReady"),
    }
    paths: dict[str, Any] = {}
    for path, item in native.items():
        paths |= _versions(path, f"{path}/{{version}}", item)
    for path, item in (v1 | v2).items():
        paths |= _versions(path, path.replace("{model}", "{model}/versions/{version}"), item)
    invocations = _inference(
        "invocations",
        "Predict or explain (SageMaker container)",
        "Explain",
        "Explained",
        [*explain, *components.SAGEMAKER],
    )
    return paths | {
        "/invocations": invocations,
        "/endpoints/{model}/invocations": _endpoint(),
        "/": _get("liveV1", "Check that the proxy is alive (KServe V1)", "Status"),
        "/v1/models": _get("modelsV1", "List the models", "Models"),
        "/ping": _get("ping", "Check that the model server is alive", "Status"),
        "/v2": _get("server", "Describe the server", "Server"),
        "/v2/health/live": _get("live", "Check that the proxy is alive", "Live"),
        "/v2/health/ready": _get("serverReady", "Check that the server is ready", "Ready"),
        "/openapi.json": _get("description", "Return this document", "Description"),
    }


def _versions(path: str, versioned: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return the path of the default version, and the path with a version."""
    return {path: _item(item, ["model"]), versioned: _item(item, ["model", "version"], "Version")}


def _item(item: dict[str, Any], extra: list[str], suffix: str = "") -> dict[str, Any]:
    """Return a path item with path parameters. The suffix keeps operation ids unique; the summary is written once."""
    operations = {
        method: {
            name: f"{value}{suffix}" if name == "operationId" else value
            for name, value in operation.items()
            if not (suffix and name == "summary")
        }
        for method, operation in item.items()
        if method != "parameters"
    }
    other_parameters = item.get("parameters", [])
    return {"parameters": [ref("parameters", name) for name in extra] + other_parameters, **operations}


def _inference(identity: str, summary: str, body: str, response: str, parameters: list[str]) -> dict[str, Any]:
    """Return the item of a path that takes images."""
    return {
        "parameters": [ref("parameters", name) for name in parameters],
        "post": {
            "operationId": identity,
            "summary": summary,
            "requestBody": ref("requestBodies", body),
            "responses": components.responses(response),
        },
    }


def _endpoint() -> dict[str, Any]:
    """Return the item of the path of SageMaker's runtime API."""
    parameters = [*components.options_of("explain"), *components.SAGEMAKER[1:], components.VARIANT]
    return _item(
        _inference("invokeEndpoint", "Predict or explain (SageMaker runtime API)", "Explain", "Explained", parameters),
        ["model"],
    )


def _get(identity: str, summary: str, response: str) -> dict[str, Any]:
    return {"get": {"operationId": identity, "summary": summary, "responses": components.responses(response)}}


def main(*, out: Path = OPENAPI) -> None:
    """Write the file and print its size.

    Args:
        out: file to write
    """
    text = render()
    out.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    cli.run("maintenance", "openapi")
