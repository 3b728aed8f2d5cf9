"""Components of deploy/openapi.json: parameters, bodies, responses and errors, generated from the code."""

from __future__ import annotations

import re

from handlers.options import OPTIONS, Option
from handlers.protocols import v2
from models.card import NAME_PATTERN, VERSION_PATTERN
from scripts.maintenance import markdown
from scripts.maintenance.openapi import examples
from scripts.maintenance.openapi.schema_types import (
    COUNT,
    WORD,
    Schema,
    any_of,
    described,
    many,
    object_of,
    ref,
    schema,
)
from scripts.maintenance.openapi.schemas import LIMITS, all_errors, options_for, schemas
from scripts.maintenance.reference.errors import ADVICE

LENGTH = v2.LENGTH_HEADER
SAGEMAKER = ["model_name", "X-Amzn-SageMaker-Target-Model", "X-Amzn-SageMaker-Custom-Attributes"]

VARIANT = "X-Amzn-SageMaker-Target-Variant"
IF_NONE_MATCH = "If-None-Match"
VERSION_HEADER = "X-Model-Version"
CLIENT_ID = "X-Client-Id"


def responses(success: str, *, failure: str = "Failed") -> Schema:
    """Return the responses of an operation: one for success, and the errors."""
    return {
        "200": ref("responses", success),
        "4XX": ref("responses", "Refused"),
        "5XX": ref("responses", failure),
    }


# ---- parameters


def options_of(kind: str) -> list[str]:
    """Return the names of the query and header parameters of a request of this kind."""
    return [name for option in options_for(kind) for name in (option.name, option.header)] + ["X-Request-Id"]


def _parameter(name: str, where: str, shape: Schema, description: str, example: str = "") -> Schema:
    return {
        "name": name,
        "in": where,
        **({"required": True} if where == "path" else {}),
        "description": description,
        "schema": shape,
        **({"example": example} if example else {}),
    }


def _as_text(option: Option) -> Schema:
    """Return the schema of an option outside JSON, where a list is a text with commas."""
    if option.schema["type"] != "array":
        return schema(option.name)
    return {**WORD, "pattern": "^[^,]+,[^,]+$", "description": option.description}


def _parameters() -> Schema:
    parameters = {
        "model": _parameter(
            "model",
            "path",
            {**WORD, "pattern": NAME_PATTERN},
            "Name of a model that the server serves. `GET /v1/models` lists the names.",
            "digits",
        ),
        "version": _parameter(
            "version",
            "path",
            {**WORD, "pattern": VERSION_PATTERN},
            "Version of the model. A path without a version uses the default version.",
            "1.0",
        ),
    }
    for option in OPTIONS:
        shape, description = _as_text(option), option.description
        parameters[option.name] = _parameter(option.name, "query", shape, description)
        parameters[option.header] = _parameter(
            option.header, "header", shape, f"The option `{option.name}` as a header. {description}"
        )
    name, target, attributes = SAGEMAKER
    texts = {
        ("X-Request-Id", "header"): (
            "Id of the request, for the response and the server's log: up to 128 characters of `A-Za-z0-9._:@/+=-`. "
            "Without it, the server generates an id."
        ),
        (name, "query"): (
            "Name of the model, which may be followed by a version: `digits/1.0`. It is needed if the server has "
            "several models."
        ),
        (target, "header"): (
            "Name of the model, as clients of SageMaker's multi-model endpoints send it. The endings `.tar.gz` and "
            "`.mar` are ignored."
        ),
        (VARIANT, "header"): "Version of the model that should answer.",
        (VERSION_HEADER, "header"): "Version of the model that should answer. Without it, the default version answers.",
        (CLIENT_ID, "header"): (
            "Id of the client, such as a user or a device. During a rollout with sticky clients, one version answers "
            "all requests with this id."
        ),
        (attributes, "header"): (
            "Options of the request, separated by semicolons: `top_k=3;explain=true`. `explain=true` requests an "
            "explanation."
        ),
        (IF_NONE_MATCH, "header"): "The ETag of an earlier response. If it is still current, the response is 304.",
    }
    parameters |= {key: _parameter(key, where, WORD, text) for (key, where), text in texts.items()}
    length = "Length of the JSON in bytes, if binary tensor data follows the JSON in the body."
    return parameters | {LENGTH: _parameter(LENGTH, "header", COUNT, length)}


# ---- bodies and responses


_BINARY: Schema = {"application/octet-stream": {"schema": {**WORD, "format": "binary"}}}


def _json(shape: Schema, **values: Schema) -> Schema:
    """Return JSON content of a shape, with examples by name."""
    named = {name: {"summary": examples.SUMMARIES[name], "value": value} for name, value in values.items()}
    return {"application/json": {"schema": shape, **({"examples": named} if named else {})}}


def _bodies() -> Schema:
    # Code generators support octet-stream only, and the server ignores the content type of a file.
    file = {"schema": schema("File")}
    bodies: Schema = {}
    for kind in ("predict", "explain"):
        name = kind.capitalize()
        members = {option.name: _as_text(option) for option in options_for(kind)}
        images = described(
            many(schema("File"), LIMITS.max_images), "Image files. Parts with other names are images too."
        )
        form = object_of({"image": images, **members}, [], more=schema("File"))
        native, in_v1, in_v2 = examples.native(kind), examples.v1(kind), examples.v2(kind)
        bodies[name] = {
            "description": (
                "One image as the body, several images as parts of a form, or JSON. The shape of the JSON decides the "
                "shape of the response."
            ),
            "required": True,
            "content": {
                "application/octet-stream": file,
                "multipart/form-data": {"schema": described(form, "Images and options as parts of a form.")},
                **_json(any_of(name, f"{name}V1", f"{name}V2"), native=native, instances=in_v1, inputs=in_v2),
            },
        }
        bodies[f"{name}V1"] = {
            "description": "Images as `instances`.",
            "required": True,
            "content": _json(schema(f"{name}V1"), instances=in_v1),
        }
        bodies[f"{name}V2"] = {
            "description": (
                "Images as one input tensor. With application/octet-stream, binary tensor data follows the JSON, and "
                f"the header {LENGTH} has the length of the JSON."
            ),
            "required": True,
            "content": {**_json(schema(f"{name}V2"), inputs=in_v2), **_BINARY},
        }
    return bodies


def _response(description: str, content: Schema, *headers: str) -> Schema:
    return {
        "description": description,
        "headers": {name: ref("headers", name) for name in ("X-Request-Id", *headers)},
        "content": content,
    }


def _errors(first_digit: int) -> str:
    """Return a Markdown table of the errors whose status begins with this digit. OpenAPI allows Markdown in texts."""
    rows = [
        [str(status), markdown.code(kind), _without_links(ADVICE[kind].when), _without_links(ADVICE[kind].remedy)]
        for kind, status in sorted(all_errors().items(), key=lambda item: (item[1], item[0]))
        if status // 100 == first_digit
    ]
    return markdown.table(["status", "type", "when", "what to do"], rows)


def _without_links(text: str) -> str:
    """Return Markdown with the text of each link in its place: links of the docs lead nowhere here."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)


def _predictions() -> Schema:
    """Return the responses of predictions and explanations."""
    timed = ("X-Model-Version", "X-Model-Engine", "Server-Timing")
    maps: Schema = {"image/png": {}, "application/x-npy": {}}
    in_v1, in_v2 = examples.PREDICTED_V1, examples.INFERRED
    return {
        "Predicted": _response(
            "The predictions, in the shape of the request's body.",
            _json(
                any_of("Predicted", "PredictedV1", "InferResponse"),
                one=examples.PREDICTED,
                several=examples.PREDICTED_IMAGES,
                instances=in_v1,
            )
            | _BINARY,
            *timed,
        ),
        "Explained": _response(
            "The predictions with explanations, in the shape of the request's body. `Accept` or the option `output` "
            "may ask for the overlay or the map alone. SageMaker's paths also return predictions without explanations.",
            _json(
                any_of("Explained", "ExplainedV1", "Predicted", "PredictedV1", "InferResponse"),
                explanation=examples.EXPLAINED,
                one=examples.PREDICTED,
            )
            | maps
            | _BINARY,
            *timed,
        ),
        "PredictedV1": _response(
            "One prediction for each instance, in their order.",
            _json(schema("PredictedV1"), instances=in_v1),
            *timed,
        ),
        "ExplainedV1": _response(
            "One explanation for each instance, in their order.",
            _json(schema("ExplainedV1"), explanations=examples.EXPLAINED_V1),
            *timed,
        ),
        "PredictedV2": _response(
            "Output tensors with one row for each image, in their order. Binary outputs follow the JSON.",
            _json(schema("InferResponse"), inputs=in_v2) | _BINARY,
            *timed,
        ),
    }


def _status() -> Schema:
    """Return the responses that describe the server and its models."""
    yes: Schema = {"const": True}
    name = described(WORD, "Name of the model.")
    metadata = object_of(
        {
            "name": name,
            "versions": described(many(WORD), "Versions of the model that the server has."),
            "platform": described(WORD, "Software that runs the model."),
            "inputs": schema("Tensors"),
            "outputs": schema("Tensors"),
        }
    )
    server = object_of(
        {
            "name": described(WORD, "Name of the server software."),
            "version": described(WORD, "Version of the server software."),
            "extensions": described(many(WORD), "Extensions of the Open Inference Protocol that it supports."),
        }
    )
    model_ready = object_of({"name": name, "ready": described(yes, "Always true. A model that is not ready is a 503.")})
    ready = object_of({"ready": described(yes, "Always true. A server that is not ready answers 503.")})
    live = object_of({"live": described(yes, "Always true. A server that is not live does not answer.")})
    models = object_of({"models": described(many(WORD), "Names of the models.")})
    state = object_of({"status": described(WORD, "`alive` or `Healthy`: the server can be used.")})
    return {
        "ModelReady": _response(
            "The model can answer.", _json(model_ready, model_ready=examples.MODEL_READY), "X-Model-Version"
        ),
        "Metadata": _response(
            "The input and output tensors of the model.",
            _json(metadata, metadata=examples.METADATA),
            "X-Model-Version",
            "X-Model-Engine",
        ),
        "Models": _response("The names of all models.", _json(models, models={"models": ["digits"]})),
        "Status": _response("The server can be used.", _json(state, status={"status": "Healthy"})),
        "Live": _response("The proxy runs.", _json(live, live={"live": True})),
        "Ready": _response("Every model can answer.", _json(ready, ready={"ready": True})),
        "Server": _response("Name, version and extensions of the server.", _json(server, server=examples.SERVER)),
        "Description": _response(
            "This document, in OpenAPI 3.1.", _json(described({"type": "object"}, "An OpenAPI document.")), "ETag"
        ),
        "NotModified": {
            "description": "The document is still the one that the ETag in If-None-Match names. There is no body.",
            "headers": {"X-Request-Id": ref("headers", "X-Request-Id"), "ETag": ref("headers", "ETag")},
        },
    }


def _failures() -> Schema:
    """Return the error responses."""
    error = schema("Error")
    return {
        "Refused": _response(
            f"The request cannot be answered as it is. `type` says why:\n\n{_errors(4)}",
            _json(error, refused=examples.REFUSED),
        ),
        "Failed": _response(
            f"The server failed. `type` says why:\n\n{_errors(5)}",
            _json(error, failed=examples.FAILED),
            "Retry-After",
        ),
        "Unready": _response(
            "The server or the model is not ready (503 `NotReady`), or the proxy failed. Wait for the seconds in "
            "Retry-After, and ask again.",
            _json(error, not_ready=examples.NOT_READY),
            "Retry-After",
        ),
    }


def _headers() -> Schema:
    words = {
        "X-Request-Id": "Id of the request: the client's own, or a generated one. The server's log has it too.",
        "X-Model-Version": "Version of the model that answered.",
        "X-Model-Engine": "Engine that computed the response: `eager`, or a compiled engine such as `cpu-int8`.",
    }
    timing = "Milliseconds of each stage of the request. Present if the option `timing` is true."
    retry = "Seconds until the client should send the request again. Every 503 and 429 has it."
    return {
        **{name: {"description": text, "required": True, "schema": WORD} for name, text in words.items()},
        "Server-Timing": {"description": timing, "schema": WORD},
        "ETag": {"description": "Tag of the response's bytes, for If-None-Match.", "required": True, "schema": WORD},
        "Retry-After": {"description": retry, "schema": COUNT},
    }


def components() -> Schema:
    """Return all components."""
    bearer = "The server's token. Production mode needs it on all paths but those for health checks."
    return {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": bearer}},
        "parameters": _parameters(),
        "headers": _headers(),
        "requestBodies": _bodies(),
        "responses": {**_predictions(), **_status(), **_failures()},
        "schemas": schemas(),
    }
