"""Bodies: what may be sent, and that all of it means the same."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import requests
from PIL import Image

from tests.integration.contract import Ask, failed, labels, row

URL = "/predictions/digits"
V2 = "/v2/models/digits/infer"


def pixels(content: bytes) -> np.ndarray:
    """uint8 (96, 96, 3) of a sample."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def send_npy(ask: Ask, array: np.ndarray) -> requests.Response:
    return ask.post(URL, npy(array), headers={"Content-Type": "application/x-npy"})


def tensor(datatype: str, array: np.ndarray) -> dict[str, Any]:
    """A request whose one input holds this array."""
    one = {"name": "image", "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
    return {"inputs": [one]}


def send_binary(ask: Ask, datatype: str, shape: list[int], data: bytes, **more: Any) -> requests.Response:
    one = {"name": "image", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [one], **more}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return ask.post(V2, head + data, headers=headers)


def elements(*contents: bytes) -> bytes:
    """The binary data of a BYTES tensor."""
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


@row("body-file")
def body_file(ask: Ask) -> None:
    for kind in ("image/png", "image/jpeg", "application/octet-stream", None):
        headers = {"Content-Type": kind} if kind else {}
        assert labels(ask.post(URL, ask.digit["4"], headers=headers)) == ["4"]


@row("body-form")
def body_form(ask: Ask) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert labels(ask.post(URL, ask.digit["4"], headers=headers)) == ["4"]


@row("body-chunked")
def body_chunked(ask: Ask) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(ask.digit["4"]), 500):
            yield ask.digit["4"][start : start + 500]

    assert labels(ask.post(URL, pieces())) == ["4"]


@row("body-npy")
def body_npy(ask: Ask) -> None:
    both = np.stack([pixels(ask.digit["4"]), pixels(ask.digit["9"])])
    assert labels(send_npy(ask, both)) == ["4", "9"]
    assert labels(ask.post(URL, npy(both), headers={"Content-Type": "application/octet-stream"})) == ["4", "9"]


@row("body-multipart")
def body_multipart(ask: Ask) -> None:
    files = [("any", ask.digit["4"]), ("any", ask.digit["9"]), ("other", ask.digit["0"])]
    answer = ask.post(URL, {"top_k": "1"}, files=files)
    assert labels(answer) == ["4", "9", "0"]
    assert [len(result["predictions"]) for result in answer.json()["results"]] == [1, 1, 1]


@row("body-json")
def body_json(ask: Ask) -> None:
    assert labels(ask.post(URL, json={"image": ask.b64("4")})) == ["4"]
    answer = ask.post(URL, json={"image": f"data:image/png;base64,{ask.b64('4')}", "top_k": 2})
    assert labels(answer) == ["4"]
    assert len(answer.json()["predictions"]) == 2


@row("body-instances")
def body_instances(ask: Ask) -> None:
    answer = ask.post(URL, json={"instances": [ask.b64("4"), ask.b64("9")]})
    assert labels(answer) == ["4", "9"]
    assert list(answer.json()) == ["predictions"]


@row("body-inputs")
def body_inputs(ask: Ask) -> None:
    answer = ask.post(URL, json=ask.v2("4", "9"))
    assert labels(answer) == ["4", "9"]
    assert "outputs" in answer.json()


def instance(ask: Ask, value: Any) -> list[str]:
    return labels(ask.post("/v1/models/digits:predict", json={"instances": [value]}))


@row("instance-b64")
def instance_b64(ask: Ask) -> None:
    assert instance(ask, {"b64": ask.b64("4")}) == ["4"]


@row("instance-image-bytes")
def instance_image_bytes(ask: Ask) -> None:
    assert instance(ask, {"image_bytes": {"b64": ask.b64("4")}}) == ["4"]


@row("instance-image")
def instance_image(ask: Ask) -> None:
    assert instance(ask, {"image": ask.b64("4")}) == ["4"]


@row("instance-string")
def instance_string(ask: Ask) -> None:
    assert instance(ask, ask.b64("4")) == ["4"]


@row("instance-lists")
def instance_lists(ask: Ask) -> None:
    assert instance(ask, pixels(ask.digit["4"]).tolist()) == ["4"]
    assert instance(ask, (pixels(ask.digit["4"])[..., 0] / 255).tolist()) == ["4"]


@row("tensor-bytes")
def tensor_bytes(ask: Ask) -> None:
    assert labels(ask.post(V2, json=ask.v2("4", "9"))) == ["4", "9"]
    assert labels(send_binary(ask, "BYTES", [2], elements(ask.digit["4"], ask.digit["9"]))) == ["4", "9"]


@row("tensor-pixels")
def tensor_pixels(ask: Ask) -> None:
    four = pixels(ask.digit["4"])
    for datatype, array in {
        "UINT8": four,
        "UINT16": four.astype(np.uint16) * 257,
        "FP16": four / np.float16(255),
        "FP32": four / np.float32(255),
        "FP64": four / 255,
    }.items():
        assert labels(ask.post(V2, json=tensor(datatype, array))) == ["4"], datatype


@row("tensor-binary")
def tensor_binary(ask: Ask) -> None:
    four = (pixels(ask.digit["4"]) / 255).astype("<f4")
    assert labels(send_binary(ask, "FP32", list(four.shape), four.tobytes())) == ["4"]
    failed(send_binary(ask, "FP32", list(four.shape), four.tobytes()[:-4]), 400, "BadTensor")


@row("array-shape")
def array_shape(ask: Ask) -> None:
    four = pixels(ask.digit["4"])
    shapes = [four[..., 0], four, four.transpose(2, 0, 1), four[..., :1]]
    shapes += [array[np.newaxis] for array in shapes[1:]]
    shapes.append(np.concatenate([four, np.full((96, 96, 1), 255, np.uint8)], axis=2))
    for array in shapes:
        assert labels(send_npy(ask, array)) == ["4"], array.shape
    for wrong in (np.zeros(9, np.uint8), np.zeros((9, 9, 2), np.uint8), np.zeros((1, 1, 9, 9, 3), np.uint8)):
        failed(send_npy(ask, wrong), 400, "BadTensor")


@row("array-range")
def array_range(ask: Ask) -> None:
    four = pixels(ask.digit["4"])
    for array in (four.astype(np.int64), four.astype(np.uint16) * 257, four / 255):
        assert labels(send_npy(ask, array)) == ["4"], array.dtype
    for wrong in (four.astype(np.int16) + 1, four.astype(np.int16) - 1, four / 254, np.full((9, 9), np.nan)):
        failed(send_npy(ask, wrong), 400, "BadTensor")
