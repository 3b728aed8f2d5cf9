"""ModelInfer as HTTP: request and response are a JSON header, with the tensors after it as raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
import orjson

from serving.grpc import parameters, tensors
from serving.grpc.errors import Failed, bad_option, bad_response, bad_tensor
from serving.grpc.http_client import HttpResponse
from serving.grpc.open_inference_pb2 import ModelInferRequest, ModelInferResponse

HEADER_LENGTH = "Inference-Header-Content-Length"
# Protects this process: many entries of a few bytes would cost it minutes. No model here takes nearly as many.
MAX_TENSORS = 64


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A request to the proxy; the first `header_length` bytes of `body` are JSON."""

    path: str
    body: list[bytes]
    header_length: int


def model_path(model: str, version: str, action: str = "") -> str:
    """Return the path of a model or of one of its versions, with the action at the end.

    Raises:
        Failed: the model's name is empty.
    """
    if not model:
        message = "the model's name is empty: give the name of a model that is served here"
        raise Failed(grpc.StatusCode.INVALID_ARGUMENT, "ModelNotFound", message)
    path = f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
    return f"{path}/{action}" if action else path


def to_http(request: ModelInferRequest) -> ProxyRequest:
    """Return the HTTP request for a call. The model checks later whether it fits.

    Raises:
        Failed: the request has no HTTP form.
    """
    options = parameters.to_json(request.parameters)
    explain = options.pop("explain", False)
    if not isinstance(explain, bool):
        raise bad_option(f"parameter 'explain' is {explain!r:.60}: give it as bool_param, true or false")
    raw = _raw(request)
    header: dict[str, Any] = {
        # Raw outputs go into the response unchanged; numbers in JSON would be parsed and written again.
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
    path = model_path(request.model_name, request.model_version, "explain" if explain else "infer")
    return ProxyRequest(path, [text, *raw], len(text))


def _raw(request: ModelInferRequest) -> list[bytes]:
    """Return the bytes of each input."""
    if max(len(request.inputs), len(request.outputs)) > MAX_TENSORS:
        counts = f"{len(request.inputs)} inputs and {len(request.outputs)} outputs"
        raise bad_tensor(f"the request has {counts}: send one input, and ask for at most {MAX_TENSORS} outputs")
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


def from_http(http_response: HttpResponse) -> ModelInferResponse:
    """Return the gRPC response for a successful HTTP response; each output goes into raw_output_contents.

    Raises:
        Failed: INTERNAL, the response breaks the protocol.
    """
    try:
        length = int(http_response.headers.get(HEADER_LENGTH.lower(), len(http_response.body)))
        header = orjson.loads(http_response.body[:length])
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
                content = http_response.body[start : start + size]
                start += size
            response.raw_output_contents.append(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_response(f"{type(error).__name__} {error}") from None
    if start != len(http_response.body):
        raise bad_response(f"its outputs end at byte {start} of {len(http_response.body)}")
    return response
