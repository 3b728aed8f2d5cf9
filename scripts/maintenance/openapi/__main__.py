"""Write deploy/openapi.json, the OpenAPI 3.1 description of the HTTP contract that the proxy serves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scripts.command import command
from scripts.maintenance.openapi import parts
from scripts.maintenance.openapi.words import ref
from serving import VERSION
from serving.proxy.haproxy import OPENAPI

_ABOUT = """\
Classify images, and see why. PUT does the same as POST, everywhere. A path without a version is answered by the \
default one. On the same port: the Open Inference Protocol over gRPC (h2c). Errors are {"code", "type", "message"}."""


def document() -> dict[str, Any]:
    """The whole description: paths here, what they refer to in parts.py."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Torchlight", "version": VERSION, "description": _ABOUT},
        "security": [{}, {"bearer": []}],
        "paths": _paths(),
        "components": parts.components(),
    }


def render() -> str:
    """The text of the file: nothing is spent on blanks, for it has to fit into HAProxy's buffer."""
    return json.dumps(document(), separators=(",", ":"), ensure_ascii=False) + "\n"


def _paths() -> dict[str, Any]:
    predict, explain = parts.options_of("predict"), parts.options_of("explain")
    native = {
        "/predictions/{model}": _asking("predict", "What is on the images", "Predict", "Predicted", predict),
        "/explanations/{model}": _asking("explain", "Why it is that", "Explain", "Explained", explain),
    }
    v1 = {
        "/v1/models/{model}:predict": _asking("predictV1", "As KServe's V1", "PredictV1", "PredictedV1", predict),
        "/v1/models/{model}:explain": _asking("explainV1", "As KServe's V1", "ExplainV1", "ExplainedV1", explain),
        "/v1/models/{model}": _get("readyV1", "Is it ready", "ModelReady"),
    }
    infer, length = "As the Open Inference Protocol", [parts.LENGTH]
    v2 = {
        "/v2/models/{model}/infer": _asking("predictV2", infer, "PredictV2", "PredictedV2", [*predict, *length]),
        "/v2/models/{model}/explain": _asking("explainV2", infer, "ExplainV2", "PredictedV2", [*explain, *length]),
        "/v2/models/{model}": _get("metadata", "What it takes and gives", "Metadata"),
        "/v2/models/{model}/ready": _get("ready", "Is it ready", "ModelReady"),
    }
    found: dict[str, Any] = {}
    for path, item in native.items():
        found |= _versions(path, f"{path}/{{version}}", item)
    for path, item in (v1 | v2).items():
        found |= _versions(path, path.replace("{model}", "{model}/versions/{version}"), item)
    invocations = _asking("invocations", "As SageMaker asks", "Explain", "Explained", [*explain, *parts.SAGEMAKER])
    return found | {
        "/invocations": invocations,
        "/endpoints/{model}/invocations": _endpoint(),
        "/": _get("liveV1", "Does the proxy live, as KServe's V1", "Status"),
        "/v1/models": _get("modelsV1", "Which models are served", "Models"),
        "/ping": _get("ping", "Does the model server live", "Status"),
        "/v2": _get("server", "What this is", "Server"),
        "/v2/health/live": _get("live", "Does the proxy live", "Live"),
        "/v2/health/ready": _get("serverReady", "Does the model server live", "Ready"),
        "/openapi.json": _get("description", "This description", "Description"),
    }


def _versions(path: str, versioned: str, item: dict[str, Any]) -> dict[str, Any]:
    """A path that means the default version, and the one that names it."""
    return {path: _item(item, ["model"]), versioned: _item(item, ["model", "version"], "Version")}


def _item(item: dict[str, Any], extra: list[str], suffix: str = "") -> dict[str, Any]:
    """A path item with parameters in its path. The suffix keeps operation ids unique; the summary stands once."""
    named = {
        method: {
            name: f"{value}{suffix}" if name == "operationId" else value
            for name, value in operation.items()
            if not (suffix and name == "summary")
        }
        for method, operation in item.items()
        if method != "parameters"
    }
    there = item.get("parameters", [])
    return {"parameters": [ref("parameters", name) for name in extra] + there, **named}


def _asking(identity: str, summary: str, body: str, answer: str, parameters: list[str]) -> dict[str, Any]:
    """A path that images are sent to."""
    return {
        "parameters": [ref("parameters", name) for name in parameters],
        "post": {
            "operationId": identity,
            "summary": summary,
            "requestBody": ref("requestBodies", body),
            "responses": parts.answers(answer),
        },
    }


def _endpoint() -> dict[str, Any]:
    """The path of SageMaker's runtime API."""
    parameters = [*parts.options_of("explain"), *parts.SAGEMAKER[1:], parts.VARIANT]
    return _item(
        _asking("invokeEndpoint", "As SageMaker's runtime asks", "Explain", "Explained", parameters), ["model"]
    )


def _get(identity: str, summary: str, answer: str) -> dict[str, Any]:
    return {"get": {"operationId": identity, "summary": summary, "responses": parts.answers(answer)}}


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and write."""
    parser = argparse.ArgumentParser(prog="python -m scripts.maintenance.openapi", description=__doc__)
    parser.add_argument("--out", type=Path, default=OPENAPI, help="file to write (default: deploy/openapi.json)")
    arguments = parser.parse_args(argv)
    text = render()
    arguments.out.write_text(text, encoding="utf-8")
    print(f"{arguments.out}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
