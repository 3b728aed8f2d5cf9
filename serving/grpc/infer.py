"""ModelInfer in HTTP's words: a JSON header, with the tensors after it as raw bytes, and an answer of the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
import orjson

from serving.grpc import parameters, tensors
from serving.grpc.errors import Failed, bad_answer, bad_option, bad_tensor
from serving.grpc.http_client import Answer
from serving.grpc.open_inference_pb2 import ModelInferRequest, ModelInferResponse

HEADER_LENGTH = "Inference-Header-Content-Length"
# A guard for this process, far above what any model here takes: entries of a few bytes each would cost it minutes.
MOST_TENSORS = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to the proxy; `body` starts with the JSON, `header_length` bytes of it."""

    path: str
    body: list[bytes]
    header_length: int


def road(model: str, version: str, last: str = "") -> str:
    """The path of a model, or of one version of it, with the word that comes last.

    Raises:
        Failed: the model's name is empty.
    """
    if not model:
        message = "the model's name is empty: give the name of a model that is served here"
        raise Failed(grpc.StatusCode.INVALID_ARGUMENT, "ModelNotFound", message)
    path = f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
    return f"{path}/{last}" if last else path


def ask(request: ModelInferRequest) -> Asked:
    """What to send to the proxy; whether it makes sense to the model is left to that.

    Raises:
        Failed: the request is not one that HTTP could say.
    """
    options = parameters.to_json(request.parameters)
    explain = options.pop("explain", False)
    if not isinstance(explain, bool):
        raise bad_option(f"parameter 'explain' is {explain!r:.60}: give it as bool_param, true or false")
    raw = _raw(request)
    header: dict[str, Any] = {
        # Raw outputs go into the answer as they are; numbers in JSON would have to be read and written again.
        "parameters": {**options, "binary_data_output": True},
        "inputs": [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(tensor.shape),
                "parameters": {**parameters.to_json(tensor.parameters), "binary_data_size": len(content)},
            }
            for tensor, content in zip(request.inputs, raw, strict=True)
        ],
    }
    if request.id:
        header["id"] = request.id
    if request.outputs:
        header["outputs"] = [
            {"name": output.name, "parameters": {**parameters.to_json(output.parameters), "binary_data": True}}
            for output in request.outputs
        ]
    text = orjson.dumps(header)
    path = road(request.model_name, request.model_version, "explain" if explain else "infer")
    return Asked(path, [text, *raw], len(text))


def _raw(request: ModelInferRequest) -> list[bytes]:
    """The bytes of each input."""
    if max(len(request.inputs), len(request.outputs)) > MOST_TENSORS:
        counts = f"{len(request.inputs)} inputs and {len(request.outputs)} outputs"
        raise bad_tensor(f"the request has {counts}: send one input, and ask for at most {MOST_TENSORS} outputs")
    for tensor in request.inputs:
        if "shared_memory_region" in tensor.parameters:
            raise bad_tensor(f"input {tensor.name!r:.60} is in shared memory, which is not offered: send its bytes")
    count = len(request.raw_input_contents)
    if not count:
        return [_typed(tensor) for tensor in request.inputs]
    if count != len(request.inputs):
        raise bad_tensor(
            f"raw_input_contents has {count} entries for {len(request.inputs)} inputs: give one for each, in order"
        )
    for tensor in request.inputs:
        if tensor.HasField("contents"):
            raise bad_tensor(f"input {tensor.name!r:.60} has contents beside raw_input_contents: use one of them")
    return list(request.raw_input_contents)


def _typed(tensor: ModelInferRequest.InferInputTensor) -> bytes:
    try:
        return tensors.pack_contents(tensor.datatype, tensor.contents)
    except ValueError as error:
        raise bad_tensor(f"input {tensor.name!r:.60}: {error}") from None


def understand(answer: Answer) -> ModelInferResponse:
    """The response in an HTTP answer that is a success; each output goes into raw_output_contents.

    Raises:
        Failed: INTERNAL, the answer is not one of the protocol.
    """
    try:
        length = int(answer.headers.get(HEADER_LENGTH.lower(), len(answer.body)))
        header = orjson.loads(answer.body[:length])
        response = ModelInferResponse(
            model_name=header["model_name"], model_version=header.get("model_version", ""), id=header.get("id") or ""
        )
        parameters.fill(response.parameters, header.get("parameters") or {})
        start = length
        for output in header["outputs"]:
            options = dict(output.get("parameters") or {})
            size = options.pop("binary_data_size", None)
            tensor = response.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
            parameters.fill(tensor.parameters, options)
            if size is None:
                content = tensors.pack(output["datatype"], output["data"])
            else:
                content = answer.body[start : start + size]
                start += size
            response.raw_output_contents.append(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_answer(f"{type(error).__name__} {error}") from None
    if start != len(answer.body):
        raise bad_answer(f"its outputs end at byte {start} of {len(answer.body)}")
    return response
