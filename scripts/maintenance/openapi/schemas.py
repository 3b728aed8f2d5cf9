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
from handlers.uncertainty.ood import Detail
from models.card import Limits, OutOfDistribution
from scripts.maintenance.openapi.explanation import ALWAYS, SOMETIMES
from scripts.maintenance.openapi.schema_types import (
    COUNT,
    NUMBER,
    SHARE,
    SWITCH,
    WORD,
    Schema,
    any_of,
    described,
    list_of,
    many,
    object_of,
    schema,
)
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
    production = ProxyConfig("127.0.0.1", 1, 1, 1, 1, 1, nowhere, nowhere, max_body(), 1, Tokens("inference", "public"))
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
    members = {
        "code": described({"type": "integer"}, "The HTTP status of the response."),
        "type": described(
            {**WORD, "enum": sorted(all_errors())},
            "Stable name of the error. Programs should check this, because messages may be reworded.",
        ),
        "message": described(WORD, "What is wrong, with which value, and what to do. It is for people."),
    }
    text = "An error. On /v1 and /v2, most errors also have the message as `error`, as clients of KServe expect."
    return {**described(object_of(members), text), **rule}


def options_for(kind: str) -> list[Option]:
    """Return the options of a request of this kind."""
    names = options.accepted(kind)
    return [option for option in OPTIONS if option.name in names]


def option_schema(option: Option) -> Schema:
    """Return the schema of an option, with the values that the explanation plug-in defines."""
    choices = {"enum": list(CHOICES[option.name])} if option.name in CHOICES else {}
    return {**described(option.schema, option.description), **choices}


def _requests(kind: str) -> Schema:
    """Return the JSON bodies of a kind of request: native, KServe V1 and Open Inference Protocol."""
    verb = "Predict" if kind == "predict" else "Predict and explain"
    members = {option.name: schema(option.name) for option in options_for(kind)}
    parameters = described(object_of(members, [], more=False), "Options of the request, as an object.")
    name = kind.capitalize()
    instances = described(many(schema("Instance"), LIMITS.max_images), "The images, in the order of the results.")
    signature = described(WORD, "Name of a signature, as clients of TensorFlow Serving send it. It is ignored.")
    inputs = {"type": "array", "minItems": 1, "maxItems": 1, "items": schema("Input")}
    in_v2 = object_of(
        {**members, "binary_data_output": described(SWITCH, "With true, all outputs are sent as binary data.")},
        [],
        more=False,
    )
    return {
        name: described(
            object_of({"image": schema("Base64"), **members}, ["image"], more=False),
            f"{verb} one image. Options are members beside it.",
        ),
        f"{name}V1": described(
            object_of(
                {"instances": instances, "signature_name": signature, "parameters": parameters, **members},
                ["instances"],
                more=False,
            ),
            f"{verb} images, in the shape of KServe V1. Options are members of `parameters`, or beside `instances`.",
        ),
        f"{name}V2": described(
            object_of(
                {
                    "id": described(WORD, "Id of the request. The response has the same `id`."),
                    "inputs": described(inputs, "The input tensor. There is exactly one, and it has all images."),
                    "parameters": described(in_v2, "Options of the request, as an object."),
                    "outputs": described(
                        list_of(_REQUESTED_OUTPUT), "Output tensors to return, in this order. Without it, all of them."
                    ),
                },
                ["inputs"],
            ),
            f"{verb} images, in the shape of the Open Inference Protocol (V2).",
        ),
    }


def _instance(member: str, image: Schema) -> Schema:
    """Return an instance of KServe V1 with the image in this member."""
    key = {"type": ["string", "integer"], "maxLength": v1.MAX_KEY}
    beside = {
        v1.KEY: described(key, "Key of the instance. Its result has the same key."),
        v1.TARGET: schema("target"),
    }
    return object_of({member: image, **beside}, [member], more=False)


def _one_or_many(name: str, result: str, what: str) -> Schema:
    """Return the response schemas for one image, with the result beside the model's name, and for several.

    Each schema has a name, and none refers to itself: code generators skip other schemas.
    """
    results = described(many(schema(result)), "One result for each image, in the order of the request.")
    return {
        f"{name}Image": described(
            {"allOf": [schema("ModelVersion"), schema(result)]}, f"The {what} of one image, with model and version."
        ),
        f"{name}Images": described(
            object_of({**_MODEL_VERSION, "results": results}), f"The {what}s of several images, with model and version."
        ),
        name: described(
            any_of(f"{name}Image", f"{name}Images"),
            f"The {what} of the image. If the request has several images, `results` has a {what} for each.",
        ),
    }


_MODEL_VERSION: Schema = {
    "model": described(WORD, "Name of the model that answered."),
    "version": described(WORD, "Version of the model that answered."),
    "request_id": described(WORD, "Id of the request, as in the header X-Request-Id and in the server's log."),
}


_METHOD: Schema = {"enum": list(get_args(OutOfDistribution.model_fields["score"].annotation))}
_OUTPUTS = [*v2.OUTPUTS, *v2.UNCERTAINTY_OUTPUTS, v2.EXPLANATION]
_REQUESTED_OUTPUT = object_of(
    {
        "name": described({"enum": _OUTPUTS}, "Name of the output tensor."),
        "parameters": described(
            object_of(
                {"binary_data": described(SWITCH, "With true, this output is sent as binary data after the JSON.")},
                [],
                more=False,
            ),
            "How this output is sent.",
        ),
    },
    ["name"],
)
_UNCERTAINTY = {
    "set": described(
        many(WORD) | {"type": ["array", "null"]},
        "The prediction set: labels, most probable first. It contains the right class as often as the model's card "
        "promises (`coverage`). It is null if the model gives no sets; its card has the reason.",
    ),
    "ood": described(
        object_of(
            {
                "score": described(
                    NUMBER,
                    "Distance of the image from the training images: 0 is typical, and a higher score is less alike.",
                ),
                "threshold": described(NUMBER, "An image with a score above this is out of distribution."),
                "method": described(_METHOD, "Method of the score."),
            }
        ),
        "Whether the image is unlike the images that the model was trained on.",
    ),
    "decision": described(
        {"enum": list(get_args(Decision))},
        "`accept`: the prediction can be used. `refer`: a person should look at the image.",
    ),
    "reason": described(
        {"enum": [*get_args(Reason), None]},
        "Reason to refer the image. `out_of_distribution`: it is unlike the training images. `ambiguous`: the "
        "prediction set is too large. `unsure`: the probability is too small. It is null for `accept`.",
    ),
    "reason_detail": described(
        {"enum": [*get_args(Detail), None]},
        "What is unlike the training images, for the reason `out_of_distribution`: the image's colors, its brightness, "
        "its sharpness, or its content. Otherwise it is null.",
    ),
}
_CLASS_PROBABILITY = object_of(
    {
        "label": described(WORD, "Label of the class."),
        "index": described(COUNT, "Index of the class in the model's list of classes."),
        "probability": described(
            SHARE, "Calibrated probability: of the predictions with 0.8, about eight in ten are right."
        ),
        "raw_probability": described(SHARE, "Probability without calibration. Only explanations have it."),
    },
    ["label", "index", "probability"],
)
_OUTPUT_TENSOR = object_of(
    {
        "name": described(
            {"enum": _OUTPUTS},
            "Name of the tensor. `label`, `index` and `probability` have one row for each image and one column for "
            "each class. The others have one value for each image. `set` and `explanation` are JSON as text.",
        ),
        "datatype": described({"enum": ["BYTES", "INT64", "FP32"]}, "Type of the values. BYTES is text here."),
        "shape": schema("Shape"),
        "data": described(list_of({}), "The values, flat, row after row. Absent if they are sent as binary data."),
        "parameters": schema("BinarySize"),
    },
    ["name", "datatype", "shape"],
)
_TENSOR = object_of(
    {
        "name": described(WORD, "Name of the tensor."),
        "datatype": described(WORD, "Type of the values, such as BYTES or FP32."),
        "shape": described(list_of({"type": "integer"}), "Sizes of the dimensions. -1 means any size."),
    }
)
_INPUT_TENSOR = object_of(
    {
        "name": described(WORD, "Name of the tensor. Any name is accepted."),
        "datatype": described(
            {"enum": ["BYTES", *v2.PIXELS]}, "BYTES for image files. The other types are for pixels, as arrays."
        ),
        "shape": schema("Shape"),
        "data": described(
            list_of({}), "The values, flat or nested. Files are base64. Absent if binary data follows the JSON."
        ),
        "parameters": schema("BinarySize"),
    },
    ["datatype", "shape"],
)


def _images() -> Schema:
    """Return the forms in which a request has an image."""
    limits = (
        f"An image may have {LIMITS.max_bytes:,} bytes, {LIMITS.max_pixels:,} pixels and {LIMITS.max_side:,} pixels a "
        f"side. A request may have {LIMITS.max_images} images and {LIMITS.max_request_pixels:,} pixels. The settings "
        "of a model may change these limits."
    )
    instance = [
        schema("Base64"),
        schema("Pixels"),
        _instance("b64", schema("Base64")),
        *(_instance(name, schema("Image")) for name in v1.IMAGE_MEMBERS),
    ]
    return {
        "File": described(
            {**WORD, "format": "binary", "maxLength": LIMITS.max_bytes},
            f"An image file: JPEG, PNG or WebP, or a NumPy array (.npy). Any content type is accepted. {limits}",
        ),
        "Base64": described({**WORD, "format": "byte"}, "An image file as base64, or as a `data:` URL."),
        "Pixels": described(
            many(many({})),
            "An image as nested lists: H x W, H x W x C or C x H x W. Integers are 0 to 255, and floats 0 to 1.",
        ),
        "Image": described(any_of("Base64", "Pixels", "Encoded"), "An image in one of the forms that JSON can have."),
        "Encoded": described(
            object_of({"b64": schema("Base64")}, more=False), "An image file as base64, in an object."
        ),
        "Instance": described({"anyOf": instance}, "An image, as the clients of KServe V1 and Vertex AI send it."),
        "Input": described(_INPUT_TENSOR, "The input tensor: image files, or pixels as an array."),
    }


def _results() -> Schema:
    """Return the results for images, in each protocol."""
    prediction = {"predictions": schema("Classes"), **_UNCERTAINTY}
    in_v2 = {
        "model_name": described(WORD, "Name of the model that answered."),
        "model_version": described(WORD, "Version of the model that answered."),
        "id": described(WORD, "The `id` of the request. Without one, the id in the header X-Request-Id."),
        "outputs": described(many(_OUTPUT_TENSOR), "The output tensors, in the requested order."),
    }
    by_instance = "One result for each instance, in their order. An instance with a `key` gets it back in its result."
    return {
        "Classes": described(many(_CLASS_PROBABILITY), "The most probable classes of an image, most probable first."),
        "Prediction": described(
            object_of(prediction, ["predictions"]),
            "The prediction for an image. If the model's card has no uncertainty, only `predictions` is present.",
        ),
        "Explanation": described(
            object_of({**prediction, **ALWAYS, **SOMETIMES}, ["predictions", *ALWAYS]),
            "The prediction for an image, and the reasons for it.",
        ),
        "ModelVersion": described(object_of(_MODEL_VERSION), "The model and the version that answered a request."),
        **_one_or_many("Predicted", "Prediction", "prediction"),
        **_one_or_many("Explained", "Explanation", "explanation"),
        "PredictedV1": described(
            object_of({"predictions": described(many(schema("Prediction")), by_instance)}),
            "The predictions for all instances, in the shape of KServe V1.",
        ),
        "ExplainedV1": described(
            object_of({"explanations": described(many(schema("Explanation")), by_instance)}),
            "The explanations for all instances, in the shape of KServe V1.",
        ),
        "InferResponse": described(object_of(in_v2), "The results as tensors, in the Open Inference Protocol (V2)."),
    }


def schemas() -> Schema:
    """Return all schemas by name."""
    options_by_name: Schema = {option.name: option_schema(option) for option in OPTIONS}
    shape = {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "integer", "minimum": 1}}
    size = described(COUNT, "Number of bytes of this tensor after the JSON.")
    return {
        **options_by_name,
        **_images(),
        **_requests("predict"),
        **_requests("explain"),
        **_results(),
        "Tensors": described(many(_TENSOR), "Descriptions of tensors."),
        "Shape": described(shape, "Sizes of the tensor's dimensions. The first one is the number of images."),
        "BinarySize": described(
            object_of({"binary_data_size": size}, []), "Where the values are, if they are not in `data`."
        ),
        "Error": _error(),
    }
