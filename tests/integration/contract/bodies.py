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


def form(ask: Ask, *fields: tuple[str, str], path: str = URL) -> requests.Response:
    """Send an image in a form with these text fields."""
    files: list[tuple[str, Any]] = [("image", ask.digit["4"]), *((name, (None, text)) for name, text in fields)]
    return ask.post(path, files=files)


@row("form-field")
def form_field(ask: Ask) -> None:
    assert labels(form(ask, ("send", "Classify"), ("csrf_token", "abc"), ("straße", "ä"), ("_method", "post"))) == ["4"]
    failed(form(ask, ("topk", "2")), 400, "UnknownOption")


@row("form-blank")
def form_blank(ask: Ask) -> None:
    assert labels(form(ask, ("top_k", ""), ("timing", " "), ("go", ""))) == ["4"]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    parts = b'--x\r\nContent-Disposition: form-data; name="second"; filename=""\r\nContent-Type: image/png\r\n\r\n\r\n'
    failed(ask.post(URL, parts + b"--x--\r\n", headers=headers), 400, "MissingImage")
    chosen = b'--x\r\nContent-Disposition: form-data; name="first"; filename="4.png"\r\n\r\n' + ask.digit["4"] + b"\r\n"
    assert labels(ask.post(URL, chosen + parts + b"--x--\r\n", headers=headers)) == ["4"]


@row("form-switch")
def form_switch(ask: Ask) -> None:
    assert "Server-Timing" in form(ask, ("timing", "0"), ("timing", "on")).headers
    assert "Server-Timing" not in form(ask, ("timing", "0")).headers


@row("form-charset")
def form_charset(ask: Ask) -> None:
    fields: list[tuple[str, Any]] = [("_charset_", (None, "windows-1252")), ("target", (None, b"gr\xfcn"))]
    answer = ask.post("/explanations/digits", files=[("image", ask.digit["4"]), *fields])
    assert "'grün'" in failed(answer, 400, "BadOption")["message"]


@row("form-data-url")
def form_data_url(ask: Ask) -> None:
    answer = ask.post(URL, files=[("canvas", (None, f"data:image/png;base64,{ask.b64('9')}"))])
    assert labels(answer) == ["9"]


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


@row("instance-data")
def instance_data(ask: Ask) -> None:
    for value in ({"data": ask.b64("4")}, {"data": ask.b64("4"), "target": 0}, {"content": ask.b64("4")}):
        assert instance(ask, value) == ["4"]


@row("instance-target")
def instance_target(ask: Ask) -> None:
    body = {"instances": [{"data": ask.b64("4"), "target": 9}]}
    explained = ask.post("/v1/models/digits:explain", json=body)
    assert labels(explained) == ["4"]
    assert explained.json()["explanations"][0]["target"]["label"] == "9"
    body["instances"].append({"data": ask.b64("4"), "target": 8})
    failed(ask.post("/v1/models/digits:explain", json=body), 400, "BadOption")
    assert labels(ask.post("/v1/models/digits:predict", json=body)) == ["4", "4"]


@row("instance-key")
def instance_key(ask: Ask) -> None:
    body = {"instances": [{"image_bytes": {"b64": ask.b64("4")}, "key": "   1"}]}
    answer = ask.post("/v1/models/digits:predict", json=body)
    assert labels(answer) == ["4"]
    assert answer.json()["predictions"][0]["key"] == "   1"


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


@row("tensor-free")
def tensor_free(ask: Ask) -> None:
    body = ask.v2("4", "9")
    body["inputs"][0]["shape"] = [-1]
    assert labels(ask.post(V2, json=body)) == ["4", "9"]
    assert labels(send_binary(ask, "BYTES", [-1], elements(ask.digit["4"], ask.digit["9"]))) == ["4", "9"]


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
