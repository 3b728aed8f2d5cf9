from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from serving.grpc import infer
from serving.grpc.errors import Failed
from serving.grpc.http_client import HttpResponse
from serving.grpc.open_inference_pb2 import InferParameter, ModelInferRequest
from tests.unit.serving.grpc.gateway_process import image_request


def response_with(header: Any, binary: bytes = b"", length: int | None = None) -> HttpResponse:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return HttpResponse(
        200, {"inference-header-content-length": str(len(text) if length is None else length)}, text + binary
    )


def outputs(*sizes: int) -> dict[str, Any]:
    tensors = [
        {"name": f"o{size}", "datatype": "UINT8", "shape": [size], "parameters": {"binary_data_size": size}}
        for size in sizes
    ]
    return {"model_name": "digits", "model_version": "1.0", "outputs": tensors}


def test_raw_bytes_follow_a_header_that_says_their_size() -> None:
    request = image_request(id="seven")
    request.parameters["top_k"].int64_param = 2
    proxy_request = infer.to_http(request)
    assert proxy_request.path == "/v2/models/digits/infer"
    assert proxy_request.body[1:] == [b"\x03\x00\x00\x00png"]
    assert proxy_request.header_length == len(proxy_request.body[0])
    assert json.loads(proxy_request.body[0]) == {
        "id": "seven",
        "parameters": {"top_k": 2, "binary_data_output": True},
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 7}}],
    }


def test_typed_contents_are_sent_as_raw_bytes_too() -> None:
    request = ModelInferRequest(model_name="digits", model_version="1.0")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 1, 1, 3])
    tensor.contents.fp32_contents.extend([0.0, 1.0, 2.0])
    proxy_request = infer.to_http(request)
    assert proxy_request.path == "/v2/models/digits/versions/1.0/infer"
    assert proxy_request.body[1] == bytes.fromhex("00000000 0000803f 00000040")
    assert json.loads(proxy_request.body[0])["inputs"][0]["parameters"] == {"binary_data_size": 12}


@pytest.mark.parametrize(("is_explained", "verb"), [(True, "explain"), (False, "infer")])
def test_explain_chooses_the_path_and_is_not_sent(is_explained: bool, verb: str) -> None:
    request = image_request()
    request.parameters["explain"].bool_param = is_explained
    proxy_request = infer.to_http(request)
    assert proxy_request.path == f"/v2/models/digits/{verb}"
    assert "explain" not in json.loads(proxy_request.body[0])["parameters"]


def test_requested_outputs_and_all_kinds_of_parameters_are_passed_on() -> None:
    request = image_request()
    request.outputs.add(name="label").parameters["classification"].int64_param = 3
    request.inputs[0].parameters["content_type"].string_param = "base64"
    for name, value in {"bool_param": True, "int64_param": -1, "string_param": "é", "double_param": 0.5}.items():
        request.parameters[name].CopyFrom(InferParameter(**{name: value}))  # type: ignore[arg-type]
    request.parameters["uint64_param"].uint64_param = 2**64 - 1
    header = json.loads(infer.to_http(request).body[0])
    assert header["outputs"] == [{"name": "label", "parameters": {"classification": 3, "binary_data": True}}]
    assert header["inputs"][0]["parameters"] == {"content_type": "base64", "binary_data_size": 7}
    assert header["parameters"] == {
        "bool_param": True,
        "int64_param": -1,
        "string_param": "é",
        "double_param": 0.5,
        "uint64_param": 2**64 - 1,
        "binary_data_output": True,
    }


def test_names_cannot_leave_their_place_in_the_path() -> None:
    assert infer.model_path("a/b?c d", "1.0/x", "ready") == "/v2/models/a%2Fb%3Fc%20d/versions/1.0%2Fx/ready"


def without_name(request: ModelInferRequest) -> None:
    request.model_name = ""


def explain_as_text(request: ModelInferRequest) -> None:
    request.parameters["explain"].string_param = "yes"


def no_value(request: ModelInferRequest) -> None:
    request.parameters["top_k"].SetInParent()


def not_finite(request: ModelInferRequest) -> None:
    request.parameters["target"].double_param = float("nan")


def one_raw_too_many(request: ModelInferRequest) -> None:
    request.raw_input_contents.append(b"")


def raw_and_typed(request: ModelInferRequest) -> None:
    request.inputs[0].contents.bytes_contents.append(b"png")


def no_data(request: ModelInferRequest) -> None:
    del request.raw_input_contents[:]


def shared_memory(request: ModelInferRequest) -> None:
    request.inputs[0].parameters["shared_memory_region"].string_param = "mine"


def many_inputs(request: ModelInferRequest) -> None:
    for _ in range(64):
        request.inputs.add(name="image")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_name, "ModelNotFound: the model's name is empty: give the name"),
        (explain_as_text, "BadOption: parameter 'explain' is 'yes': give it as bool_param"),
        (no_value, "BadOption: parameter 'top_k' has no value: set bool_param"),
        (not_finite, "BadOption: parameter 'target' is nan: give a finite number"),
        (one_raw_too_many, "BadTensor: raw_input_contents has 2 entries for 1 inputs"),
        (raw_and_typed, "BadTensor: input 'image' has contents beside raw_input_contents"),
        (no_data, "BadTensor: input 'image': it has neither contents nor an entry in raw_input_contents"),
        (shared_memory, "BadTensor: input 'image' is in shared memory, which is not offered"),
        (many_inputs, "BadTensor: the request has 65 inputs and 0 outputs"),
    ],
)
def test_values_without_an_http_form_are_refused(spoil: Any, message: str) -> None:
    request = image_request()
    spoil(request)
    with pytest.raises(Failed, match=message) as caught:
        infer.to_http(request)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_raw_outputs_are_cut_where_the_header_says() -> None:
    response = infer.from_http(response_with(outputs(2, 0, 1), b"abc"))
    assert list(response.raw_output_contents) == [b"ab", b"", b"c"]
    assert [(output.name, list(output.shape)) for output in response.outputs] == [("o2", [2]), ("o0", [0]), ("o1", [1])]
    assert not response.outputs[0].parameters


def test_outputs_in_json_become_raw_bytes() -> None:
    header = outputs()
    header["outputs"] = [
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["cat"]},
        {"name": "index", "datatype": "INT64", "shape": [1], "data": [7]},
    ]
    response = infer.from_http(HttpResponse(200, {}, json.dumps(header).encode()))
    assert list(response.raw_output_contents) == [b"\x03\x00\x00\x00cat", b"\x07" + bytes(7)]


def test_parameters_of_an_answer_keep_their_kinds() -> None:
    values = {"a": True, "b": 1, "c": 2**63, "d": 0.5, "e": "x", "f": {"g": [1]}, "h": None}
    parameters = infer.from_http(response_with({**outputs(), "parameters": values})).parameters
    chosen = {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}
    assert chosen == {"a": True, "b": 1, "c": 2**63, "d": 0.5, "e": "x", "f": '{"g":[1]}'}
    assert parameters["c"].WhichOneof("parameter_choice") == "uint64_param"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (response_with(outputs(2), b"a"), r"its outputs end at byte \d+ of \d+"),
        (response_with(outputs(2), b"abc"), r"its outputs end at byte \d+ of \d+"),
        (response_with(outputs(-1)), r"1 byte|end at byte"),
        (response_with(b"<html>"), r"JSONDecodeError"),
        (response_with(b"[]"), r"TypeError"),
        (response_with(outputs(), length=3), r"JSONDecodeError"),
        (response_with({"model_name": "digits"}), r"KeyError 'outputs'"),
        (response_with({"model_name": "digits", "outputs": [{"name": "a"}]}), r"KeyError 'datatype'"),
        (response_with({"model_name": 1, "outputs": []}), r"TypeError"),
        (HttpResponse(200, {"inference-header-content-length": "x"}, b"{}"), r"ValueError"),
    ],
)
def test_an_answer_outside_of_the_protocol_is_this_servers_fault(answer: HttpResponse, message: str) -> None:
    with pytest.raises(Failed, match=message) as caught:
        infer.from_http(answer)
    assert caught.value.code is grpc.StatusCode.INTERNAL
    assert str(caught.value).startswith("BadGateway: the proxy's response breaks the protocol: ")
