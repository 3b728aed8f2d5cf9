"""What deploy/openapi.json refers to: parameters, bodies, answers and errors, made from the code that keeps to them."""

from __future__ import annotations

from handlers import table
from handlers.protocols import v2
from models.card import NAME_PATTERN, VERSION_PATTERN
from scripts.maintenance.openapi.schemas import LIMITS, options_for, schemas
from scripts.maintenance.openapi.words import COUNT, WORD, Schema, any_of, many, object_of, ref, schema

LENGTH = v2.LENGTH_HEADER
SAGEMAKER = ["model_name", "X-Amzn-SageMaker-Target-Model", "X-Amzn-SageMaker-Custom-Attributes"]

VARIANT = "X-Amzn-SageMaker-Target-Variant"


def answers(success: str) -> Schema:
    """The answers of an operation: one of success, and errors."""
    return {
        "200": ref("responses", success),
        "4XX": ref("responses", "Refused"),
        "5XX": ref("responses", "Failed"),
    }


# ---- parameters


def options_of(kind: str) -> list[str]:
    """The names of the parameters, in query and header, that a request of this kind may have."""
    return [name for option in options_for(kind) for name in (option.name, option.header)] + ["X-Request-Id"]


def _parameter(name: str, where: str, shape: Schema, says: str = "") -> Schema:
    about = {"description": says} if says else {}
    return {"name": name, "in": where, **({"required": True} if where == "path" else {}), **about, "schema": shape}


def _as_text(option: table.Option) -> Schema:
    """The schema of an option outside JSON, where a list is one text with commas."""
    if option.schema["type"] != "array":
        return schema(option.name)
    return {**WORD, "pattern": "^[^,]+,[^,]+$", "description": option.says}


def _parameters() -> Schema:
    found = {
        "model": _parameter("model", "path", {**WORD, "pattern": NAME_PATTERN}),
        "version": _parameter("version", "path", {**WORD, "pattern": VERSION_PATTERN}),
    }
    for option in table.TABLE:
        found[option.name] = _parameter(option.name, "query", _as_text(option))
        found[option.header] = _parameter(option.header, "header", _as_text(option))
    name, target, attributes = SAGEMAKER
    return found | {
        "X-Request-Id": _parameter("X-Request-Id", "header", WORD, "comes back; else one is made"),
        LENGTH: _parameter(LENGTH, "header", COUNT, "bytes of JSON before binary tensor data"),
        name: _parameter(name, "query", WORD),
        target: _parameter(target, "header", WORD),
        VARIANT: _parameter(VARIANT, "header", WORD, "a version of the model"),
        attributes: _parameter(attributes, "header", WORD, "options, as top_k=3;explain=true"),
    }


# ---- bodies and answers


_BINARY: Schema = {"application/octet-stream": {"schema": {**WORD, "format": "binary"}}}


def _bodies() -> Schema:
    # Code generators know octet-stream alone among the types of a file, and the type of a file makes no difference.
    file = {"schema": schema("File")}
    found: Schema = {}
    for kind in ("predict", "explain"):
        name = kind.capitalize()
        members = {option.name: _as_text(option) for option in options_for(kind)}
        fields = {"image": many(schema("File"), LIMITS.max_images), **members}
        found[name] = {
            "required": True,
            "content": {
                "application/octet-stream": file,
                "multipart/form-data": {"schema": object_of(fields, [], more=schema("File"))},
                "application/json": {"schema": any_of(name, f"{name}V1", f"{name}V2")},
            },
        }
        found[f"{name}V1"] = {"required": True, "content": {"application/json": {"schema": schema(f"{name}V1")}}}
        found[f"{name}V2"] = {
            "required": True,
            "content": {"application/json": {"schema": schema(f"{name}V2")}, **_BINARY},
        }
    return found


def _answer(says: str, content: Schema, *headers: str) -> Schema:
    return {
        "description": says,
        "headers": {name: ref("headers", name) for name in ("X-Request-Id", *headers)},
        "content": content,
    }


def _json(shape: Schema) -> Schema:
    return {"application/json": {"schema": shape}}


def _responses() -> Schema:
    model, timed = ("X-Model-Version", "X-Model-Engine"), ("X-Model-Version", "X-Model-Engine", "Server-Timing")
    pictures: Schema = {"image/png": {}, "application/x-npy": {}}
    yes: Schema = {"const": True}
    tensors = schema("Tensors")
    metadata = object_of(
        {"name": WORD, "versions": many(WORD), "platform": WORD, "inputs": tensors, "outputs": tensors}
    )
    return {
        "Predicted": _answer(
            "as the body's shape", _json(any_of("Predicted", "PredictedV1", "AnswerV2")) | _BINARY, *timed
        ),
        "Explained": _answer(
            "as the body's shape, or as Accept",
            _json(any_of("Explained", "ExplainedV1", "Predicted", "PredictedV1", "AnswerV2")) | pictures | _BINARY,
            *timed,
        ),
        "PredictedV1": _answer("in order", _json(schema("PredictedV1")), *timed),
        "ExplainedV1": _answer("in order", _json(schema("ExplainedV1")), *timed),
        "PredictedV2": _answer("rows in order", _json(schema("AnswerV2")) | _BINARY, *timed),
        "ModelReady": _answer("it is", _json(object_of({"name": WORD, "ready": yes})), "X-Model-Version"),
        "Metadata": _answer("tensors", _json(metadata), *model),
        "Models": _answer("their names", _json(object_of({"models": many(WORD)}))),
        "Status": _answer("it does", _json(object_of({"status": WORD}))),
        "Live": _answer("it does", _json(object_of({"live": yes}))),
        "Ready": _answer("it does", _json(object_of({"ready": yes}))),
        "Server": _answer("name", _json(object_of({"name": WORD, "version": WORD, "extensions": many(WORD)}))),
        "Description": _answer("this", _json({"type": "object"})),
        "Refused": _answer("cannot be answered as it is", _json(schema("Error"))),
        "Failed": _answer("our fault; after a 503 again", _json(schema("Error")), "Retry-After"),
    }


def components() -> Schema:
    """Everything that is referred to."""
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
