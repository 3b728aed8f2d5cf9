"""tritonclient.grpc, the client that most code has, unchanged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from tests.unit.serving.grpc.fake_proxy import FakeProxy, FakeResponse, error
from tests.unit.serving.grpc.gateway_process import Gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(gateway.address)
    yield client
    client.close()


def images() -> list[triton.InferInput]:
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"png"], dtype=object))
    return [tensor]


def test_a_prediction_as_numpy(proxy: FakeProxy, client: triton.InferenceServerClient) -> None:
    result = client.infer(
        "digits",
        images(),
        model_version="1.0",
        request_id="seven",
        outputs=[triton.InferRequestedOutput("label"), triton.InferRequestedOutput("probability")],
        parameters={"top_k": 2},
        headers={"authorization": "Bearer secret"},
        client_timeout=10,
    )
    assert result.as_numpy("label").tolist() == [[b"3", b"8"]]
    assert result.as_numpy("probability").tolist() == [[0.75, 0.25]]
    assert result.get_response().id == "seven"
    assert proxy.last.path == "/v2/models/digits/versions/1.0/infer"
    assert proxy.last.headers["authorization"] == "Bearer secret"
    assert proxy.last.binary == b"\x03\x00\x00\x00png"
    assert proxy.last.json["parameters"] == {"top_k": 2, "binary_data_output": True}
    assert [output["name"] for output in proxy.last.json["outputs"]] == ["label", "probability"]


def test_an_array_is_sent_as_it_is(proxy: FakeProxy, client: triton.InferenceServerClient) -> None:
    pixels = np.arange(2 * 2 * 3, dtype=np.float32).reshape(1, 2, 2, 3) / 12
    tensor = triton.InferInput("pixels", list(pixels.shape), "FP32")
    tensor.set_data_from_numpy(pixels)
    client.infer("digits", [tensor], parameters={"explain": True}, client_timeout=10)
    assert proxy.last.path == "/v2/models/digits/explain"
    assert proxy.last.binary == pixels.tobytes()
    assert proxy.last.json["inputs"][0]["shape"] == [1, 2, 2, 3]


def test_health_and_metadata(proxy: FakeProxy, client: triton.InferenceServerClient) -> None:
    proxy.answer = lambda request: FakeResponse(200, json.dumps({"live": True, "ready": True}).encode())
    assert client.is_server_live(client_timeout=10)
    assert client.is_server_ready(client_timeout=10)
    assert client.is_model_ready("digits", client_timeout=10)
    proxy.answer = lambda request: FakeResponse(
        200, b'{"name":"digits","version":"1","versions":["1.0"],"inputs":[],"outputs":[]}'
    )
    assert client.get_server_metadata(client_timeout=10).version == "1"
    assert list(client.get_model_metadata("digits", client_timeout=10).versions) == ["1.0"]


def test_an_error_has_its_words(proxy: FakeProxy, client: triton.InferenceServerClient) -> None:
    proxy.answer = lambda request: error(404, "ModelNotFound", "give another")
    with pytest.raises(InferenceServerException, match=r"StatusCode.NOT_FOUND.*ModelNotFound: give another"):
        client.infer("cats", images(), client_timeout=10)


def test_an_async_stub_on_the_running_gateway(proxy: FakeProxy, gateway: Gateway) -> None:
    async def ask() -> list[bytes]:
        async with aio.InferenceServerClient(gateway.address) as client:
            result = await client.infer("digits", images(), client_timeout=10)
            labels: list[bytes] = result.as_numpy("label").ravel().tolist()
            return labels

    assert asyncio.run(ask()) == [b"3", b"8"]
