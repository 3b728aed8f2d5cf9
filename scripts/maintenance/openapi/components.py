"""Components of deploy/openapi.json: parameters, bodies, responses and errors, generated from the code."""

from __future__ import annotations

from handlers.options import OPTIONS, Option
from handlers.protocols import v2
from models.card import NAME_PATTERN, VERSION_PATTERN
from scripts.maintenance.openapi.schema_types import COUNT, WORD, Schema, any_of, many, object_of, ref, schema
from scripts.maintenance.openapi.schemas import LIMITS, options_for, schemas

LENGTH = v2.LENGTH_HEADER
SAGEMAKER = ["model_name", "X-Amzn-SageMaker-Target-Model", "X-Amzn-SageMaker-Custom-Attributes"]

VARIANT = "X-Amzn-SageMaker-Target-Variant"


def responses(success: str) -> Schema:
    """Return the responses of an operation: one for success, and the errors."""
    return {
        "200": ref("responses", success),
        "4XX": ref("responses", "Refused"),
        "5XX": ref("responses", "Failed"),
    }


# ---- parameters


def options_of(kind: str) -> list[str]:
    """Return the names of the query and header parameters of a request of this kind."""
    return [name for option in options_for(kind) for name in (option.name, option.header)] + ["X-Request-Id"]


def _parameter(name: str, where: str, shape: Schema, text: str = "") -> Schema:
    description = {"description": text} if text else {}
    return {
        "name": name,
        "in": where,
        **({"required": True} if where == "path" else {}),
        **description,
        "schema": shape,
    }


def _as_text(option: Option) -> Schema:
    """Return the schema of an option outside JSON, where a list is a text with commas."""
    if option.schema["type"] != "array":
        return schema(option.name)
    return {**WORD, "pattern": "^[^,]+,[^,]+$", "description": option.description}


def _parameters() -> Schema:
    parameters = {
        "model": _parameter("model", "path", {**WORD, "pattern": NAME_PATTERN}),
        "version": _parameter("version", "path", {**WORD, "pattern": VERSION_PATTERN}),
    }
    for option in OPTIONS:
        parameters[option.name] = _parameter(option.name, "query", _as_text(option))
        parameters[option.header] = _parameter(option.header, "header", _as_text(option))
    name, target, attributes = SAGEMAKER
    return parameters | {
        "X-Request-Id": _parameter("X-Request-Id", "header", WORD, "returned in the response; generated if missing"),
        LENGTH: _parameter(LENGTH, "header", COUNT, "length in bytes of the JSON before the binary tensor data"),
        name: _parameter(name, "query", WORD),
        target: _parameter(target, "header", WORD),
        VARIANT: _parameter(VARIANT, "header", WORD, "version of the model"),
        attributes: _parameter(attributes, "header", WORD, "options, such as top_k=3;explain=true"),
    }


# ---- bodies and responses


_BINARY: Schema = {"application/octet-stream": {"schema": {**WORD, "format": "binary"}}}


def _bodies() -> Schema:
    # Code generators support octet-stream only, and the server ignores the content type of a file.
    file = {"schema": schema("File")}
    bodies: Schema = {}
    for kind in ("predict", "explain"):
        name = kind.capitalize()
        members = {option.name: _as_text(option) for option in options_for(kind)}
        fields = {"image": many(schema("File"), LIMITS.max_images), **members}
        bodies[name] = {
            "required": True,
            "content": {
                "application/octet-stream": file,
                "multipart/form-data": {"schema": object_of(fields, [], more=schema("File"))},
                "application/json": {"schema": any_of(name, f"{name}V1", f"{name}V2")},
            },
        }
        bodies[f"{name}V1"] = {"required": True, "content": {"application/json": {"schema": schema(f"{name}V1")}}}
        bodies[f"{name}V2"] = {
            "required": True,
            "content": {"application/json": {"schema": schema(f"{name}V2")}, **_BINARY},
        }
    return bodies


def _response(description: str, content: Schema, *headers: str) -> Schema:
    return {
        "description": description,
        "headers": {name: ref("headers", name) for name in ("X-Request-Id", *headers)},
        "content": content,
    }


def _json(shape: Schema) -> Schema:
    return {"application/json": {"schema": shape}}


def _responses() -> Schema:
    model, timed = ("X-Model-Version", "X-Model-Engine"), ("X-Model-Version", "X-Model-Engine", "Server-Timing")
    heat_maps: Schema = {"image/png": {}, "application/x-npy": {}}
    yes: Schema = {"const": True}
    tensors = schema("Tensors")
    metadata = object_of(
        {"name": WORD, "versions": many(WORD), "platform": WORD, "inputs": tensors, "outputs": tensors}
    )
    return {
        "Predicted": _response(
            "in the format of the request body",
            _json(any_of("Predicted", "PredictedV1", "InferResponse")) | _BINARY,
            *timed,
        ),
        "Explained": _response(
            "in the format of the request body, or of Accept",
            _json(any_of("Explained", "ExplainedV1", "Predicted", "PredictedV1", "InferResponse"))
            | heat_maps
            | _BINARY,
            *timed,
        ),
        "PredictedV1": _response("results in the order of the images", _json(schema("PredictedV1")), *timed),
        "ExplainedV1": _response("results in the order of the images", _json(schema("ExplainedV1")), *timed),
        "PredictedV2": _response(
            "tensors with one row for each image, in order", _json(schema("InferResponse")) | _BINARY, *timed
        ),
        "ModelReady": _response(
            "the model is ready", _json(object_of({"name": WORD, "ready": yes})), "X-Model-Version"
        ),
        "Metadata": _response("input and output tensors", _json(metadata), *model),
        "Models": _response("names of the models", _json(object_of({"models": many(WORD)}))),
        "Status": _response("alive", _json(object_of({"status": WORD}))),
        "Live": _response("alive", _json(object_of({"live": yes}))),
        "Ready": _response("ready", _json(object_of({"ready": yes}))),
        "Server": _response(
            "name and version", _json(object_of({"name": WORD, "version": WORD, "extensions": many(WORD)}))
        ),
        "Description": _response("this document", _json({"type": "object"})),
        "Refused": _response("the request is invalid: correct it", _json(schema("Error"))),
        "Failed": _response("the server failed; retry after a 503", _json(schema("Error")), "Retry-After"),
    }


def components() -> Schema:
    """Return all components."""
    return {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "parameters": _parameters(),
        "headers": {
            "X-Request-Id": {"required": True, "schema": WORD},
            "X-Model-Version": {"required": True, "schema": WORD},
            "X-Model-Engine": {"required": True, "schema": WORD},
            "Server-Timing": {"schema": WORD},
            "Retry-After": {"schema": COUNT},
        },
        "requestBodies": _bodies(),
        "responses": _responses(),
        "schemas": schemas(),
    }
