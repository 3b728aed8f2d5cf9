"""Every call, through a running gateway, against a proxy that records its requests."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import grpc
import pytest

from serving.grpc import open_inference_pb2 as pb
from tests.unit.serving.grpc.fake_proxy import (
    LABEL,
    PROBABILITY,
    FakeProxy,
    FakeResponse,
    ReceivedRequest,
    error,
    prediction,
)
from tests.unit.serving.grpc.gateway_process import ROOT, Gateway, image_request


def saying(body: Any, status: int = 200) -> Any:
    return lambda request: FakeResponse(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def test_a_prediction_goes_there_and_back(proxy: FakeProxy, gateway: Gateway) -> None:
    response = gateway.call("ModelInfer", image_request(id="seven"))
    assert (proxy.last.method, proxy.last.path) == ("POST", "/v2/models/digits/infer")
    assert proxy.last.headers["content-type"] == "application/octet-stream"
    assert proxy.last.json["parameters"] == {"binary_data_output": True}
    assert proxy.last.binary == b"\x03\x00\x00\x00png"
    assert (response.model_name, response.model_version, response.id) == ("digits", "1.0", "seven")
    assert [(output.name, output.datatype, list(output.shape)) for output in response.outputs] == [
        ("label", "BYTES", [1, 2]),
        ("probability", "FP32", [1, 2]),
    ]
    assert list(response.raw_output_contents) == [LABEL, PROBABILITY]


def test_a_version_and_an_explanation_have_roads_of_their_own(proxy: FakeProxy, gateway: Gateway) -> None:
    request = image_request(model_version="2.0")
    request.parameters["explain"].bool_param = True
    gateway.call("ModelInfer", request)
    assert proxy.last.path == "/v2/models/digits/versions/2.0/explain"


def test_what_chooses_a_version_is_passed_on(proxy: FakeProxy, gateway: Gateway) -> None:
    metadata = {"x-model-version": "2.0", "x-client-id": "a user", "cookie": "torchlight-client=7"}
    gateway.call("ModelInfer", image_request(), metadata=tuple(metadata.items()))
    assert {name: proxy.last.headers[name] for name in metadata} == metadata


def test_cookie_comes_back(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: prediction(**{"Set-Cookie": "torchlight-client=7; Path=/"})
    _, call = gateway.method("ModelInfer").with_call(image_request(), timeout=10)
    assert dict(call.trailing_metadata())["set-cookie"] == "torchlight-client=7; Path=/"


def test_the_token_and_the_request_id_are_passed_on_and_nothing_else(proxy: FakeProxy, gateway: Gateway) -> None:
    metadata = (("authorization", "Bearer secret"), ("x-request-id", "abc"), ("x-top-k", "3"), ("host", "other"))
    gateway.call("ModelInfer", image_request(), metadata=metadata)
    assert proxy.last.headers["authorization"] == "Bearer secret"
    assert proxy.last.headers["x-request-id"] == "abc"
    assert set(proxy.last.headers) == {
        *("host", "content-type", "content-length", "inference-header-content-length", "authorization", "x-request-id")
    }
    assert proxy.last.headers["host"] == f"127.0.0.1:{proxy.port}"
    proxy.answer = saying({"ready": True})
    gateway.call("ModelReady", pb.ModelReadyRequest(name="digits"), metadata=metadata)
    assert proxy.last.headers["authorization"] == "Bearer secret"


def test_response_headers_come_back_as_trailing_metadata(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: prediction(**{"X-Request-Id": "abc", "X-Model-Version": "1.0", "Server-Timing": "a"})
    _, call = gateway.method("ModelInfer").with_call(image_request(), timeout=10)
    assert dict(call.trailing_metadata()) == {"x-request-id": "abc", "x-model-version": "1.0", "server-timing": "a"}


def test_connections_to_the_proxy_are_reused(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: prediction() if request.body else FakeResponse(200)
    for _ in range(5):
        gateway.call("ModelInfer", image_request())
        gateway.call("ServerLive")
    assert len({request.connection for request in proxy.requests}) == 1


@pytest.mark.parametrize(
    ("name", "request_", "path", "field"),
    [
        ("ServerLive", pb.ServerLiveRequest(), "/v2/health/live", "live"),
        ("ServerReady", pb.ServerReadyRequest(), "/v2/health/ready", "ready"),
        ("ModelReady", pb.ModelReadyRequest(name="digits"), "/v2/models/digits/ready", "ready"),
        (
            "ModelReady",
            pb.ModelReadyRequest(name="digits", version="1.0"),
            "/v2/models/digits/versions/1.0/ready",
            "ready",
        ),
    ],
)
def test_health_is_what_the_proxy_says(
    proxy: FakeProxy, gateway: Gateway, name: str, request_: Any, path: str, field: str
) -> None:
    for answer, healthy in [
        (saying({field: True}), True),
        (saying({field: False}), False),
        (lambda request: FakeResponse(200), True),
        (lambda request: error(503, "Unavailable"), False),
    ]:
        proxy.answer = answer
        assert getattr(gateway.call(name, request_), field) is healthy
        assert (proxy.last.method, proxy.last.path) == ("GET", path)


@pytest.mark.parametrize("kind", ["ModelNotFound", "VersionNotFound"])
def test_a_model_that_is_not_there_is_not_ready(proxy: FakeProxy, gateway: Gateway, kind: str) -> None:
    proxy.answer = lambda request: error(404, kind, 'model "cats" is not served here')
    assert gateway.call("ModelReady", pb.ModelReadyRequest(name="cats")).ready is False


def test_readiness_without_a_token_is_an_error_and_not_false(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: error(401, "Unauthorized")
    with pytest.raises(grpc.RpcError) as caught:
        gateway.call("ModelReady", pb.ModelReadyRequest(name="digits"))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_metadata_of_the_server_and_of_a_model(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = saying({"name": "torchlight", "version": "0.1.0", "extensions": ["binary_tensor_data"]})
    server = gateway.call("ServerMetadata")
    assert (proxy.last.path, server.name, server.version) == ("/v2", "torchlight", "0.1.0")
    assert list(server.extensions) == ["binary_tensor_data"]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [-1]}
    proxy.answer = saying(
        {"name": "digits", "versions": ["1.0"], "platform": "pytorch", "inputs": [tensor], "outputs": [tensor, tensor]}
    )
    model = gateway.call("ModelMetadata", pb.ModelMetadataRequest(name="digits", version="1.0"))
    assert proxy.last.path == "/v2/models/digits/versions/1.0"
    assert (model.name, list(model.versions), model.platform) == ("digits", ["1.0"], "pytorch")
    assert [
        (tensor_metadata.name, tensor_metadata.datatype, list(tensor_metadata.shape))
        for tensor_metadata in model.inputs
    ] == [("image", "BYTES", [-1])]
    assert len(model.outputs) == 2


@pytest.mark.parametrize("body", [[], {}, {"name": 1, "version": "1"}])
def test_metadata_outside_of_the_protocol_is_internal(proxy: FakeProxy, gateway: Gateway, body: Any) -> None:
    proxy.answer = saying(body)
    for name in ("ServerMetadata", "ModelMetadata"):
        request = pb.ModelMetadataRequest(name="digits") if name == "ModelMetadata" else None
        with pytest.raises(grpc.RpcError) as caught:
            gateway.call(name, request)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "breaks the protocol" in caught.value.details()


def test_a_large_tensor_passes_unchanged(proxy: FakeProxy, gateway: Gateway) -> None:
    request = image_request()
    request.raw_input_contents[0] = bytes(range(256)) * 700

    def echo(request: ReceivedRequest) -> FakeResponse:
        output = {
            "name": "o",
            "datatype": "UINT8",
            "shape": [1],
            "parameters": {"binary_data_size": len(request.binary)},
        }
        text = json.dumps({"model_name": "digits", "outputs": [output]}).encode()
        return FakeResponse(200, text + request.binary, {"Inference-Header-Content-Length": str(len(text))})

    proxy.answer = echo
    response = gateway.call("ModelInfer", request)
    assert response.raw_output_contents[0] == request.raw_input_contents[0]


def test_the_gateway_loads_nothing_heavy() -> None:
    program = "import sys, serving.grpc.gateway; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "pydantic", "requests", "httpx", "aiohttp", "ts", "yaml", "handlers", "training"}
    assert heavy & set(loaded.stdout.split()) == set()
