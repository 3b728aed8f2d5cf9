"""Paths of deploy/openapi.json, and their operations."""

from __future__ import annotations

from typing import Any

from scripts.maintenance.openapi import components
from scripts.maintenance.openapi.schema_types import Schema, ref

NATIVE, V1, V2, SAGEMAKER, SERVER = "native", "kserve_v1", "open_inference", "sagemaker", "server"
TAGS = {
    NATIVE: "Predictions and explanations in Torchlight's own JSON, for curl and for new programs.",
    V1: "The protocol KServe V1, for clients of KServe, TensorFlow Serving and Vertex AI.",
    V2: "The Open Inference Protocol (V2), for clients of KServe and Triton.",
    SAGEMAKER: "The paths of SageMaker's containers and of its runtime API.",
    SERVER: "Health of the server, its models, and this document.",
}
_NO_TOKEN = "It needs no token."


def paths() -> dict[str, Any]:
    """Return all path items."""
    return {**_native(), **_kserve_v1(), **_open_inference(), **_sagemaker(), **_server()}


def tags() -> list[dict[str, str]]:
    """Return the groups of operations."""
    return [{"name": name, "description": description} for name, description in TAGS.items()]


def _native() -> dict[str, Any]:
    predict = _inference(
        "predict",
        NATIVE,
        "Predict the classes of images",
        "Returns the most probable classes of each image. The response also says how certain the prediction is, and "
        "whether a person should look at the image. Send one image as the body, several images as parts of a form, or "
        "JSON.",
        "Predict",
        "Predicted",
        components.options_of("predict"),
    )
    explain = _inference(
        "explain",
        NATIVE,
        "Predict the classes of images and explain the predictions",
        "Returns the prediction for each image, and the reasons for it: regions of the image, a sentence, warnings, "
        "and pictures. With `Accept: image/png` the response is only the overlay. With `Accept: application/x-npy` it "
        "is only the map.",
        "Explain",
        "Explained",
        components.options_of("explain"),
    )
    items = {"/predictions/{model}": predict, "/explanations/{model}": explain}
    return {
        path: item
        for name, operation in items.items()
        for path, item in _versions(name, f"{name}/{{version}}", operation).items()
    }


def _kserve_v1() -> dict[str, Any]:
    predict = _inference(
        "predictV1",
        V1,
        "Predict the classes of images (KServe V1)",
        "Returns one entry for each instance, in their order.",
        "PredictV1",
        "PredictedV1",
        components.options_of("predict"),
    )
    explain = _inference(
        "explainV1",
        V1,
        "Predict and explain (KServe V1)",
        "Returns one entry with an explanation for each instance, in their order.",
        "ExplainV1",
        "ExplainedV1",
        components.options_of("explain"),
    )
    ready = _get(
        "readyV1",
        V1,
        "Check that a model is ready (KServe V1)",
        "Returns 200 while a worker of the model can answer predictions, and 503 otherwise.",
        "ModelReady",
        failure="Unready",
    )
    models = _get("modelsV1", V1, "List the models (KServe V1)", "Returns the names of all models.", "Models")
    live = _get(
        "liveV1",
        V1,
        "Check that the server is alive (KServe V1)",
        f"Returns 200 while the proxy runs, even if no model is ready. {_NO_TOKEN}",
        "Status",
    )
    return {
        **_kserve("/v1/models/{model}:predict", predict),
        **_kserve("/v1/models/{model}:explain", explain),
        **_kserve("/v1/models/{model}", ready),
        "/v1/models": models,
        "/": _public(live),
    }


def _open_inference() -> dict[str, Any]:
    length = [components.LENGTH]
    predict = _inference(
        "predictV2",
        V2,
        "Predict the classes of images (Open Inference Protocol)",
        "Takes one input tensor with all images. Each output tensor has one row for each image.",
        "PredictV2",
        "PredictedV2",
        [*components.options_of("predict"), *length],
    )
    explain = _inference(
        "explainV2",
        V2,
        "Predict and explain (Open Inference Protocol)",
        "Like the prediction, with one more output tensor: `explanation` has the explanation of each image, as the "
        "text of a JSON object.",
        "ExplainV2",
        "PredictedV2",
        [*components.options_of("explain"), *length],
    )
    metadata = _get(
        "metadata",
        V2,
        "Describe the input and output tensors of a model",
        "Returns name, datatype and shape of each tensor, and the versions of the model.",
        "Metadata",
    )
    ready = _get(
        "ready",
        V2,
        "Check that a model is ready (Open Inference Protocol)",
        "Returns 200 while a worker of the model can answer predictions, and 503 otherwise.",
        "ModelReady",
        failure="Unready",
    )
    server = _get(
        "server", V2, "Describe the server", "Returns name, version and protocol extensions of the server.", "Server"
    )
    live = _get(
        "live",
        V2,
        "Check that the server is alive (Open Inference Protocol)",
        f"Returns 200 while the proxy runs, even if no model is ready. {_NO_TOKEN}",
        "Live",
    )
    all_ready = _get(
        "serverReady",
        V2,
        "Check that every model is ready (Open Inference Protocol)",
        f"Returns 200 while every model can answer predictions, and 503 otherwise. {_NO_TOKEN}",
        "Ready",
        failure="Unready",
    )
    return {
        **_kserve("/v2/models/{model}/infer", predict),
        **_kserve("/v2/models/{model}/explain", explain),
        **_kserve("/v2/models/{model}", metadata),
        **_kserve("/v2/models/{model}/ready", ready),
        "/v2": server,
        "/v2/health/live": _public(live),
        "/v2/health/ready": _public(all_ready),
    }


def _sagemaker() -> dict[str, Any]:
    options = components.options_of("explain")
    invocations = _inference(
        "invocations",
        SAGEMAKER,
        "Predict or explain (SageMaker container)",
        "Takes the same bodies as /predictions. `explain=true` in the custom attributes requests an explanation, and "
        "only then options of explanations are accepted. If the server has several models, name one.",
        "Explain",
        "Explained",
        [*options, *components.SAGEMAKER, components.VERSION_HEADER, components.CLIENT_ID],
    )
    endpoint = _inference(
        "invokeEndpoint",
        SAGEMAKER,
        "Predict or explain (SageMaker runtime API)",
        "The path of InvokeEndpoint, which boto3 calls. The endpoint's name is the name of a model. `explain=true` in "
        "the custom attributes requests an explanation, and only then options of explanations are accepted.",
        "Explain",
        "Explained",
        [*options, *components.SAGEMAKER[1:], components.VARIANT, components.VERSION_HEADER, components.CLIENT_ID],
    )
    return {"/invocations": invocations, "/endpoints/{model}/invocations": _item(endpoint, ["model"])}


def _server() -> dict[str, Any]:
    ping = _get(
        "ping",
        SERVER,
        "Check that every model is ready",
        f"Returns 200 while every model can answer predictions, and 503 otherwise. {_NO_TOKEN}",
        "Status",
        failure="Unready",
    )
    description = _get(
        "description",
        SERVER,
        "Return this document",
        "Returns this description of the API. It is compressed with gzip if Accept-Encoding allows it. To ask whether "
        "it has changed, send its ETag in If-None-Match.",
        "Description",
    )
    description["parameters"] = [ref("parameters", components.IF_NONE_MATCH)]
    not_modified = {"304": ref("responses", "NotModified")}
    description["get"]["responses"] = dict(sorted((description["get"]["responses"] | not_modified).items()))
    return {"/ping": _public(ping), "/openapi.json": description}


def _kserve(path: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return both paths of KServe's protocols: of the default version, and with a version."""
    return _versions(path, path.replace("{model}", "{model}/versions/{version}"), item)


def _versions(path: str, versioned: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return the path of the default version, and the path with a version."""
    default = {**item, "parameters": item.get("parameters", []) + _choice(item)}
    return {path: _item(default, ["model"]), versioned: _item(_by_version(item), ["model", "version"])}


def _choice(item: dict[str, Any]) -> list[Schema]:
    """Return the parameters that choose the version for a path without one."""
    names = [components.VERSION_HEADER, *([components.CLIENT_ID] if "post" in item else [])]
    return [ref("parameters", name) for name in names]


def _by_version(item: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of an item for the version in the path."""
    changed = {
        method: {
            **operation,
            "operationId": f"{operation['operationId']}Version",
            "summary": f"{operation['summary']}, by one version",
            "description": f"{operation['description']} The version in the path is used, not the default version.",
        }
        for method, operation in item.items()
        if method != "parameters"
    }
    return {**item, **changed}


def _item(item: dict[str, Any], path_parameters: list[str]) -> dict[str, Any]:
    """Return a path item with parameters of the path before its own."""
    parameters = [ref("parameters", name) for name in path_parameters] + item.get("parameters", [])
    return {**item, "parameters": parameters}


def _inference(
    identity: str, tag: str, summary: str, description: str, body: str, response: str, parameters: list[str]
) -> dict[str, Any]:
    """Return the item of a path that takes images."""
    return {
        "parameters": [ref("parameters", name) for name in parameters],
        "post": {
            "operationId": identity,
            "tags": [tag],
            "summary": summary,
            "description": description,
            "requestBody": ref("requestBodies", body),
            "responses": components.responses(response),
        },
    }


def _get(
    identity: str, tag: str, summary: str, description: str, response: str, *, failure: str = "Failed"
) -> dict[str, Any]:
    """Return the item of a path that is only read."""
    operation = {
        "operationId": identity,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "responses": components.responses(response, failure=failure),
    }
    return {"get": operation}


def _public(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item whose operations need no token."""
    return {**item, "get": {**item["get"], "security": []}}
