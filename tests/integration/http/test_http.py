"""Answers of the proxy and the handler, request by request."""

from __future__ import annotations

import base64
import io
import socket
import struct
import zlib
from typing import Any

import pytest
import requests
from PIL import Image

from tests.support.server import Server

# Every answer has it in its body, so answers can be compared where it is given.
ID = {"X-Request-Id": "mine"}


def post(server: Server, path: str, body: Any = b"", kind: str | None = "image/png", **more: Any) -> requests.Response:
    headers = {"Content-Type": kind, **ID} if kind else ID
    return requests.post(server.url + path, data=body, headers=headers, timeout=30, **more)


def failed(answer: requests.Response) -> tuple[int, str]:
    """Status and type of an error, whose shape is checked on the way."""
    body = answer.json()
    in_kserve = str(answer.request.path_url).startswith(("/v1/", "/v2/"))
    assert set(body) == {"code", "type", "message"} | ({"error"} if in_kserve else set())
    assert body["code"] == answer.status_code
    assert len(body["message"]) > 20
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, body["type"]


def test_a_prediction_has_the_promised_shape(server: Server, digit: dict[str, bytes]) -> None:
    answer = post(server, "/predictions/digits", digit["7"])
    body = answer.json()
    assert answer.headers["X-Model-Version"] == "1.0"
    members = {"set", "ood", "decision", "reason", "reason_detail"}
    assert set(body) == {"model", "version", "request_id", "predictions", *members}
    assert (body["model"], body["version"], body["request_id"]) == ("digits", "1.0", "mine")
    assert body["predictions"][0]["label"] == "7"
    assert body["predictions"][0]["index"] == 7
    probabilities = [prediction["probability"] for prediction in body["predictions"]]
    assert len(probabilities) == 5
    assert probabilities == sorted(probabilities, reverse=True)


def test_an_explanation_has_the_promised_shape(server: Server, digit: dict[str, bytes]) -> None:
    body = post(server, "/explanations/digits", digit["7"]).json()
    assert body["method"] == "ig"
    assert body["target"] == {**body["predictions"][0], "source": "predicted"}
    assert body["predictions"][0]["label"] == "7"
    assert body["completeness"]["ok"] is True
    picture = Image.open(io.BytesIO(base64.b64decode(body["overlay_png"])))
    assert picture.format == "PNG"
    assert min(picture.size) >= 256


def test_the_ways_to_send_one_image_agree(server: Server, digit: dict[str, bytes]) -> None:
    url, image = "/predictions/digits", digit["5"]
    raw = post(server, url, image).json()
    assert raw["predictions"][0]["label"] == "5"
    assert post(server, url, image, "application/octet-stream").json() == raw
    assert post(server, url, image, None).json() == raw
    assert post(server, url, image, "application/x-www-form-urlencoded").json() == raw, "bare curl --data-binary"
    more: dict[str, Any] = {"headers": ID, "timeout": 30}
    assert requests.put(server.url + url, data=image, **more).json() == raw, "curl -T"
    assert requests.post(server.url + url, files={"image": ("5.png", image)}, **more).json() == raw
    encoded = base64.b64encode(image).decode()
    assert requests.post(server.url + url, json={"image": encoded}, **more).json() == raw
    data_url = f"data:image/png;base64,{encoded}"
    assert requests.post(server.url + url, json={"image": data_url}, **more).json() == raw


def test_options_come_as_query_header_field_or_member(server: Server, digit: dict[str, bytes]) -> None:
    url, image = server.url + "/explanations/digits", digit["5"]
    encoded = base64.b64encode(image).decode()
    answers = [
        requests.post(f"{url}?target=3&top_k=2", data=image, timeout=30),
        requests.post(url, data=image, headers={"X-Target": "3", "X-Top-K": "2"}, timeout=30),
        requests.post(url, files={"image": image}, data={"target": "3", "top_k": "2"}, timeout=30),
        requests.post(url, json={"image": encoded, "target": 3, "top_k": 2}, timeout=30),
    ]
    for answer in answers:
        assert (answer.json()["target"]["label"], answer.json()["target"]["source"]) == ("3", "requested")
        assert len(answer.json()["predictions"]) == 2


def test_a_named_version_is_answered_by_it(server: Server, digit: dict[str, bytes]) -> None:
    assert post(server, "/predictions/digits/1.0", digit["1"]).json()["version"] == "1.0"
    assert post(server, "/explanations/digits/1.0", digit["1"]).json()["version"] == "1.0"


def bomb() -> bytes:
    """A PNG of 100 bytes that says it is 60,000 x 60,000 pixels large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize("verb", ["predictions", "explanations"])
def test_bad_images_get_a_4xx_of_their_own(server: Server, digit: dict[str, bytes], verb: str) -> None:
    url = f"/{verb}/digits"
    assert failed(post(server, url, b"")) == (400, "MissingImage")
    assert failed(post(server, url, b"hello")) == (415, "UnsupportedImage")
    assert failed(post(server, url, gif())) == (415, "UnsupportedImage")
    assert failed(post(server, url, digit["3"][:-300])) == (422, "CorruptImage")
    assert failed(post(server, url, bomb())) == (413, "ImageTooLarge")
    assert failed(post(server, url, b"\0" * 6_000_001)) == (413, "ImageTooLarge")
    assert failed(post(server, url, b"a=1&b=2", "application/x-www-form-urlencoded")) == (415, "UnsupportedImage")
    assert failed(post(server, url, b"caf\xc3\xa9", "text/plain")) == (415, "UnsupportedImage")
    assert post(server, url, digit["3"]).json()["predictions"][0]["label"] == "3", "the worker lives"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"image": 3}', b'{"image": "@"}', b"\xff\xfe"])
def test_bad_json_gets_400(server: Server, body: bytes) -> None:
    assert failed(post(server, "/predictions/digits", body, "application/json")) == (400, "BadJSON")


def test_bad_multipart_gets_a_4xx(server: Server) -> None:
    url = "/predictions/digits"
    no_end = b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: image/png\r\n\r\nabc'
    assert failed(post(server, url, no_end, "multipart/form-data; boundary=x"))[0] == 400
    assert failed(post(server, url, b"no part", "multipart/form-data; boundary=x"))[0] == 400
    assert failed(post(server, url, b'--x\r\nrubbish: "\r\n\r\n\r\n--x--', "multipart/form-data; boundary=x"))[0] == 400
    assert failed(post(server, url, b"abc", "multipart/form-data"))[0] in (400, 415)


def test_bad_options_get_400_and_the_names_of_the_good_ones(server: Server, digit: dict[str, bytes]) -> None:
    unknown = post(server, "/predictions/digits?topk=3", digit["1"])
    assert failed(unknown) == (400, "UnknownOption")
    assert "top_k" in unknown.json()["message"]
    for query in ("top_k=0", "top_k=many", "top_k=-1", "top_k=1&top_k=2"):
        assert failed(post(server, f"/predictions/digits?{query}", digit["1"])) == (400, "BadOption")
    no_class = post(server, "/explanations/digits?target=10", digit["1"])
    assert failed(no_class) == (400, "BadOption")
    assert "0 to 9" in no_class.json()["message"]
    assert failed(post(server, "/explanations/digits?method=magic", digit["1"])) == (400, "BadOption")


def test_unknown_paths_get_404(server: Server, digit: dict[str, bytes]) -> None:
    assert failed(post(server, "/predictions/nothing", digit["1"])) == (404, "ModelNotFound")
    assert failed(post(server, "/predictions/digits/9.9", digit["1"])) == (404, "VersionNotFound")
    assert failed(post(server, '/predictions/no"quotes%22', digit["1"])) == (404, "ModelNotFound")


@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/models/digits",
        "/invocations/digits",
        "/metrics",
        "/api-description",
        "/workflows",
        "/token",
        "/wfpredict/x",
        "/v2/models",
        "/v2/repository/index",
        "/inference.Other/ModelInfer",
    ],
)
def test_proxy_forwards_only_inference(server: Server, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, server.url + path, timeout=30)
        assert failed(answer) == (404, "NotFound")


def test_health_is_answered(server: Server) -> None:
    assert requests.get(server.url + "/ping", timeout=30).json() == {"status": "Healthy"}


def test_other_http_methods_get_405(server: Server) -> None:
    answer = requests.get(server.url + "/predictions/digits", timeout=30)
    assert failed(answer) == (405, "MethodNotAllowed")
    assert answer.headers["Allow"] == "POST, PUT, OPTIONS"


def test_too_large_a_body_gets_413_with_and_without_a_length(server: Server) -> None:
    body = b"\0" * 8_500_001
    assert failed(post(server, "/predictions/digits", body)) == (413, "ContentTooLarge")

    def pieces() -> Any:
        for start in range(0, 9_000_000, 100_000):
            yield body[start : start + 100_000]

    # Without a length the proxy cannot know before, and the server may hang up while the client still sends.
    try:
        answer = post(server, "/predictions/digits", pieces())
    except requests.ConnectionError:
        return
    assert failed(answer)[0] == 413


def test_bytes_that_are_not_http_get_400(server: Server) -> None:
    """With HAProxy's own words: what cannot be parsed never reaches the rules that could answer JSON."""
    with socket.create_connection(("127.0.0.1", server.ports.public), timeout=10) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")


def test_headers_that_mark_torchserves_kinds_do_not_pass(server: Server, digit: dict[str, bytes]) -> None:
    headers = {"explain": "True", "describe": "True", "X-Torchlight-Query": "top_k=1"}
    answer = requests.post(f"{server.url}/predictions/digits", data=digit["2"], headers=headers, timeout=30).json()
    assert "overlay_png" not in answer
    assert len(answer["predictions"]) == 5
