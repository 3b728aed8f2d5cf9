"""The same images by every protocol get the same answers, to the last digit; and others' clients are understood."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import grpc as grpc_
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from PIL import Image

from tests.integration.contract.bodies import elements
from tests.support.server import Server

Classes = list[tuple[str, int, float]]
TIMEOUT = 30
TOP_K = 10


def native(answer: requests.Response) -> Classes:
    return [(one["label"], one["index"], one["probability"]) for one in answer.json()["predictions"]]


def raw(server: Server, image: bytes) -> Classes:
    return native(requests.post(f"{server.url}/predictions/digits?top_k={TOP_K}", data=image, timeout=TIMEOUT))


def multipart(server: Server, image: bytes) -> Classes:
    files, data = {"image": image}, {"top_k": str(TOP_K)}
    return native(requests.post(f"{server.url}/predictions/digits", files=files, data=data, timeout=TIMEOUT))


def in_json(server: Server, image: bytes) -> Classes:
    body = {"image": base64.b64encode(image).decode(), "top_k": TOP_K}
    return native(requests.post(f"{server.url}/predictions/digits", json=body, timeout=TIMEOUT))


def npy(server: Server, image: bytes) -> Classes:
    """The decoded pixels: a PNG is decoded here as there, so nothing may differ."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(Image.open(io.BytesIO(image)).convert("RGB")))
    headers = {"Content-Type": "application/x-npy", "X-Top-K": str(TOP_K)}
    answer = requests.post(f"{server.url}/predictions/digits", data=buffer.getvalue(), headers=headers, timeout=TIMEOUT)
    return native(answer)


def v1(server: Server, image: bytes) -> Classes:
    body = {"instances": [{"b64": base64.b64encode(image).decode()}], "parameters": {"top_k": TOP_K}}
    answer = requests.post(f"{server.url}/v1/models/digits:predict", json=body, timeout=TIMEOUT)
    (found,) = answer.json()["predictions"]
    return [(one["label"], one["index"], one["probability"]) for one in found["predictions"]]


def v2_json(server: Server, image: bytes) -> Classes:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(image).decode()]}
    body = {"inputs": [tensor], "parameters": {"top_k": TOP_K}}
    outputs = requests.post(f"{server.url}/v2/models/digits/infer", json=body, timeout=TIMEOUT).json()["outputs"]
    labels, indices, probabilities = (output["data"] for output in outputs[:3])
    return list(zip(labels, indices, probabilities, strict=True))


def v2_binary(server: Server, image: bytes) -> Classes:
    data = elements(image)
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"top_k": TOP_K}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    url = f"{server.url}/v2/models/digits/infer"
    outputs = requests.post(url, data=head + data, headers=headers, timeout=TIMEOUT).json()["outputs"]
    labels, indices, probabilities = (output["data"] for output in outputs[:3])
    return list(zip(labels, indices, probabilities, strict=True))


def invocations(server: Server, image: bytes) -> Classes:
    """Send what boto3 sends for `invoke_endpoint(EndpointName=..., Body=image, CustomAttributes=...)`."""
    headers = {"Content-Type": "image/png", "X-Amzn-SageMaker-Custom-Attributes": f"top_k={TOP_K}"}
    return native(requests.post(f"{server.url}/invocations", data=image, headers=headers, timeout=TIMEOUT))


def over_grpc(server: Server, image: bytes) -> Classes:
    return triton(server, image, triton_grpc)


def triton_over_http(server: Server, image: bytes) -> Classes:
    return triton(server, image, triton_http)


def triton(server: Server, image: bytes, module: Any) -> Classes:
    """Triton's own clients, which send and take binary data; probabilities come as float32."""
    tensor = module.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([image], dtype=object))
    with module.InferenceServerClient(f"127.0.0.1:{server.ports.public}") as client:
        found = client.infer("digits", [tensor], parameters={"top_k": TOP_K})
    labels, indices, probabilities = (found.as_numpy(name)[0] for name in ("label", "index", "probability"))
    return [
        (label.decode(), int(index), float(f"{probability:.6f}"))
        for label, index, probability in zip(labels, indices, probabilities, strict=True)
    ]


PROTOCOLS: list[Callable[[Server, bytes], Classes]] = [
    multipart,
    in_json,
    npy,
    v1,
    v2_json,
    v2_binary,
    invocations,
    over_grpc,
    triton_over_http,
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_all_roads_answer_the_same(
    server: Server, digit: dict[str, bytes], protocol: Callable[[Server, bytes], Classes]
) -> None:
    assert len(digit) == 10
    for label, image in digit.items():
        expected = raw(server, image)
        assert expected[0][:2] == (label, int(label))
        assert len(expected) == TOP_K
        assert sorted(protocol(server, image)) == sorted(expected)


def test_a_client_of_tensorflow_serving_is_understood(server: Server, digit: dict[str, bytes]) -> None:
    """Send the request of TensorFlow Serving's REST guide: `signature_name`, and binary values as {"b64": ...}."""
    instances = [{"image_bytes": {"b64": base64.b64encode(digit[label]).decode()}} for label in "0123456789"]
    data = json.dumps({"signature_name": "serving_default", "instances": instances})
    answer = requests.post(f"{server.url}/v1/models/digits:predict", data=data, timeout=TIMEOUT)
    found = [entry["predictions"][0]["label"] for entry in answer.json()["predictions"]]
    assert found == list("0123456789")
    version = requests.post(f"{server.url}/v1/models/digits/versions/1.0:predict", data=data, timeout=TIMEOUT)
    assert version.json() == answer.json()
    assert requests.get(f"{server.url}/v1/models/digits", timeout=TIMEOUT).json()["ready"] is True


@pytest.mark.parametrize("module", [triton_http, triton_grpc], ids=["http", "grpc"])
def test_tritons_clients_are_understood(server: Server, digit: dict[str, bytes], module: Any) -> None:
    with module.InferenceServerClient(f"127.0.0.1:{server.ports.public}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        assert client.is_model_ready("digits", "1.0")
        assert not ready(client, "nothing")
        metadata = client.get_model_metadata("digits")
        name = metadata["name"] if isinstance(metadata, dict) else metadata.name
        assert name == "digits"
        pixels = np.stack(
            [
                np.asarray(Image.open(io.BytesIO(digit[label])).convert("RGB"), np.float32) / 255
                for label in "0123456789"
            ]
        )
        tensor = module.InferInput("image", list(pixels.shape), "FP32")
        tensor.set_data_from_numpy(pixels)
        wanted = [module.InferRequestedOutput("label"), module.InferRequestedOutput("probability")]
        found = client.infer("digits", [tensor], outputs=wanted, request_id="7", parameters={"top_k": 1})
        assert [label.decode() for (label,) in found.as_numpy("label")] == list("0123456789")
        assert found.as_numpy("index") is None
        with pytest.raises(module.InferenceServerException, match="top_k"):
            client.infer("digits", [tensor], parameters={"topk": 1})


def ready(client: Any, model: str) -> bool:
    """Triton's HTTP client says no; its gRPC client raises what the server says."""
    try:
        return bool(client.is_model_ready(model))
    except triton_grpc.InferenceServerException as error:
        if error.status() != str(grpc_.StatusCode.NOT_FOUND):
            raise
        return False


def test_a_client_of_sagemaker_is_understood(server: Server, digit: dict[str, bytes]) -> None:
    """Send what an endpoint's container gets: /ping until it is healthy, then /invocations."""
    assert requests.get(f"{server.url}/ping", timeout=TIMEOUT).status_code == 200
    kinds = {"image/png": digit["4"], "application/x-image": digit["4"]}
    kinds["application/json"] = json.dumps({"instances": [base64.b64encode(digit["4"]).decode()]}).encode()
    for kind, body in kinds.items():
        headers = {"Content-Type": kind, "Accept": "application/json", "X-Amzn-SageMaker-Target-Model": "digits.tar.gz"}
        answer = requests.post(f"{server.url}/invocations", data=body, headers=headers, timeout=TIMEOUT).json()
        found = answer["predictions"][0]
        assert found.get("predictions", [found])[0]["label"] == "4"
