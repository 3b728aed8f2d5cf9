"""Limits: a request at the limit passes, and one just above it does not."""

from __future__ import annotations

import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import numpy as np
import orjson
import pytest
import requests
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handlers.classifier import Classifier
from handlers.explain.plugin import AttributionPlugin
from handlers.pipeline import BATCH_BYTES, BUDGET_SECONDS, Pipeline
from handlers.protocols.multipart import Part
from handlers.request import RawRequest
from serving.artifacts.model_config import ModelConfig
from serving.proxy import haproxy
from tests.integration.contract import Ask, failed, labels, row, told
from tests.integration.contract.bodies import npy
from tests.support.stub_backend import SHORTER, TOKEN, running_proxy

PREDICT = "/predictions/digits"
PIXELS = 25_000_000
# More than HAProxy's buffer takes in before it hands a body on.
LARGE = 1_000_000


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@row("max-body")
def max_body(ask: Ask) -> None:
    failed(ask.post(PREDICT, b"\0" * 8_500_000), 413, "ImageTooLarge")
    failed(ask.post(PREDICT, b"\0" * 8_500_001), 413, "ContentTooLarge")


@row("max-bytes")
def max_bytes(ask: Ask) -> None:
    padded = ask.digit["5"] + b"\0" * (6_000_000 - len(ask.digit["5"]))
    assert labels(ask.post(PREDICT, padded)) == ["5"]
    assert "6,000,000" in failed(ask.post(PREDICT, padded + b"\0"), 413, "ImageTooLarge")["message"]


@row("max-pixels")
def max_pixels(ask: Ask) -> None:
    assert ask.post(PREDICT, png(5_000, 5_000)).status_code == 200
    assert "25,000,000" in failed(ask.post(PREDICT, png(5_000, 5_001)), 413, "ImageTooLarge")["message"]


@row("max-side")
def max_side(ask: Ask) -> None:
    assert ask.post(PREDICT, png(16_384, 1)).status_code == 200
    assert "16,384" in failed(ask.post(PREDICT, png(1, 16_385)), 413, "ImageTooLarge")["message"]
    failed(ask.post(PREDICT, npy(np.zeros((16_385, 1), np.uint8))), 413, "ImageTooLarge")


@row("max-images")
def max_images(ask: Ask) -> None:
    for count, status in ((64, 200), (65, 413)):
        array = npy(np.zeros((count, 8, 8, 1), np.uint8))
        answers = [
            ask.post(PREDICT, array),
            ask.post(PREDICT, files=[("image", ask.digit["5"])] * count),
            ask.post(PREDICT, json={"instances": [ask.b64("5")] * count}),
            ask.post("/v2/models/digits/infer", json=ask.v2(*"5" * count)),
        ]
        assert [answer.status_code for answer in answers] == [status] * 4
    for answer in answers:
        failed(answer, 413, "TooManyImages")


@row("max-request-pixels")
def max_request_pixels(ask: Ask) -> None:
    large, small = png(5_000, 5_000), png(1, 1)
    assert ask.post(PREDICT, files=[("image", large)] * 4).status_code == 200
    body = failed(ask.post(PREDICT, files=[("image", large)] * 4 + [("image", small)]), 413, "ImageTooLarge")
    assert "100,000,000" in body["message"]


@row("max-json-lists")
def max_json_lists(ask: Ask) -> None:
    pixels = b"[" + b",".join([b"[[1],[2]]"] * 10) + b"]"
    within = b'{"instances":[' + pixels + b'],"top_k":1,"x":[' + b",".join([b"[]"] * 499_966) + b"]}"
    assert within.count(b"[") + within.count(b"{") == 500_000
    failed(ask.post(PREDICT, within), 400, "UnknownOption")
    beyond = within[:-2] + b",[]]}"
    assert "500,000" in failed(ask.post(PREDICT, beyond), 400, "BadJSON")["message"]


@row("max-png-text")
def max_png_text(ask: Ask) -> None:
    for count, status in ((1, 200), (3, 422)):
        info = PngInfo()
        for number in range(count):
            info.add_text(f"key{number}", "a" * 500_000, zip=True)
        buffer = io.BytesIO()
        Image.new("L", (24, 24)).save(buffer, "PNG", pnginfo=info)
        assert ask.post(PREDICT, buffer.getvalue()).status_code == status


@row("max-scans")
def max_scans(ask: Ask) -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 90).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    for count, status in ((100, 200), (101, 415)):
        more = count - whole.count(b"\xff\xda")
        answer = ask.post(PREDICT, whole[:last] + whole[last:-2] * (more + 1) + b"\xff\xd9")
        assert answer.status_code == status, answer.text
    failed(answer, 415, "UnsupportedImage")


@row("max-parts")
def max_parts(ask: Ask) -> None:
    options = [("top_k", (None, "1"))]
    image = [("image", ask.digit["5"])]
    assert labels(ask.post(PREDICT, files=image + options * 199)) == ["5"]
    failed(ask.post(PREDICT, files=image + options * 200), 400, "BadMultipart")
    failed(ask.post(PREDICT, files=[("image", ("x" * 1_000, ask.digit["5"]))]), 400, "BadMultipart")


@row("max-query")
def max_query(ask: Ask) -> None:
    for count, kind in ((100, "UnknownOption"), (101, "BadOption")):
        query = "&".join(f"a{number}=1" for number in range(count))
        failed(ask.post(f"{PREDICT}?{query}", ask.digit["5"]), 400, kind)


@row("max-address", "URITooLong")
def max_address(ask: Ask) -> None:
    within = f"{PREDICT}?mine={'x' * 2_000}"[:2_000]
    failed(ask.post(within, ask.digit["5"]), 400, "UnknownOption")
    failed(ask.post(within + "x", ask.digit["5"]), 414, "URITooLong")
    assert "error" in failed(ask.post(f"/v1/models/{'%22' * 3_000}:predict", b""), 414, "URITooLong")


@row("max-headers", "HeadersTooLarge")
def max_headers(ask: Ask) -> None:
    within = f"{PREDICT}?top_k=1&timing={'+' * 1_900}true"  # the query becomes a header too
    assert labels(ask.post(within, ask.digit["5"], headers={"X-Mine": "x" * 5_200})) == ["5"]
    failed(ask.post(PREDICT, ask.digit["5"], headers={"X-Mine": "x" * 5_501}), 431, "HeadersTooLarge")
    failed(ask.post(PREDICT, ask.digit["5"], headers={"X-Mine": "x" * 30_000}), 431, "HeadersTooLarge")


def head(length: int) -> bytes:
    return b"POST /predictions/digits HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % length


@row("time-headers", "RequestTimeout")
def time_headers(ask: Ask) -> None:
    assert "timeout http-request 10s" in SHORTER
    assert told(ask.fixture("proxy").port, head(9)).startswith(b"HTTP/1.1 408")


@row("time-silence")
def time_silence(ask: Ask) -> None:
    assert "timeout client 30s" in SHORTER
    said = told(ask.fixture("proxy").port, head(LARGE) + b"\r\n" + bytes(100_000))
    assert said.startswith(b"HTTP/1.1 400")
    assert b'"type":"BadRequest"' in said


@row("time-first-body")
def time_first_body(ask: Ask) -> None:
    assert "wait-for-body time 20s" in SHORTER
    said = told(ask.fixture("proxy").port, head(9) + b"\r\nhalf")
    assert said.startswith(b"HTTP/1.1 408")
    assert b'"type":"RequestTimeout"' in said
    with socket.create_connection(("127.0.0.1", ask.fixture("proxy").port), timeout=15) as connection:
        connection.sendall(head(9) + b"\r\n")
        for byte in b"an image!":
            time.sleep(0.03)
            connection.sendall(bytes([byte]))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@row("time-upload")
def time_upload(ask: Ask) -> None:
    """A client that is never silent for long is refused too, once its upload has taken a second in all."""
    assert "lua.upload_time 60" in SHORTER
    for path in ("/predictions/digits", "/explanations/digits"):
        assert (status := drip(ask.fixture("proxy").port, path)).startswith(b"HTTP/1.1 400"), status


def drip(port: int, path: str) -> bytes:
    """The answer to a large body that comes slowly; nothing where none has come after 5 s."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall(head(LARGE).replace(b"/predictions/digits", path.encode()) + b"\r\n" + bytes(100_000))
        connection.settimeout(0.2)
        for _ in range(25):
            connection.sendall(b"x")
            with suppress(TimeoutError):
                return connection.recv(1000)
    return b""


@row("time-idle")
def time_idle(ask: Ask) -> None:
    assert haproxy.KEEP_ALIVE_SECONDS == 75
    config = (ask.server.instance.folder / "haproxy.cfg").read_text()
    assert "timeout http-keep-alive 75s" in config


@row("max-connections")
def max_connections(ask: Ask) -> None:
    """Give one address at most 20 of 40 connections; another address is answered meanwhile."""
    assert haproxy.MAX_CONNECTIONS == 8_192
    assert haproxy.MAX_CONNECTIONS // haproxy.SHARE_OF_ONE_SOURCE == 4_096
    with running_proxy(max_connections=40) as proxy, ExitStack() as held:
        for _ in range(20):
            held.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
        with pytest.raises(OSError, match="reset"):
            told(proxy.port, head(2) + b"\r\nab")
        with socket.create_connection(("127.0.0.1", proxy.port), source_address=("127.0.0.2", 0)) as connection:
            connection.sendall(head(2) + b"\r\nab")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


@row("max-wrong-tokens", "TooManyRequests")
def max_wrong_tokens(ask: Ask) -> None:
    assert (haproxy.WRONG_TOKENS, haproxy.WRONG_TOKEN_SECONDS) == (20, 10)
    with running_proxy(tokens=True) as proxy, requests.Session() as session:
        url = f"{proxy.url}{PREDICT}"
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [session.post(url, data=b"an image", headers=wrong, timeout=30).status_code for _ in range(30)]
        assert statuses == [401] * 20 + [429] * 10
        refused = session.post(url, data=b"an image", headers=wrong, timeout=30)
        failed(refused, 429, "TooManyRequests")
        assert refused.headers["Retry-After"] == "10"
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert session.post(url, data=b"an image", headers=right, timeout=30).status_code == 200
        assert session.get(f"{proxy.url}/v2/health/live", timeout=30).status_code == 200


@row("max-batch-answers")
def max_batch_answers(ask: Ask) -> None:
    assert BATCH_BYTES == 24_000_000
    classifier = Classifier.load(ask.server.workspace / "releases" / "digits" / "1.0")
    request = RawRequest("predict", (Part("body", ask.digit["5"]),), {})
    pipeline = Pipeline(classifier, AttributionPlugin)
    size = len(pipeline.answer([request])[0].body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handlers.pipeline.BATCH_BYTES", 2 * size)
        answers = pipeline.answer([request] * 3)
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert orjson.loads(answers[2].body)["type"] == "Overloaded"


@row("time-batch")
def time_batch(ask: Ask) -> None:
    assert ModelConfig().responseTimeout / 2 == BUDGET_SECONDS == 30
    classifier = Classifier.load(ask.server.workspace / "releases" / "digits" / "1.0")
    part = Part("body", ask.digit["5"])
    for budget, status in ((30.0, 200), (-1.0, 503)):
        pipeline = Pipeline(classifier, AttributionPlugin, budget)
        answer = pipeline.answer([RawRequest("predict", (part,), {})])[0]
        assert answer.status == status
    assert orjson.loads(answer.body)["type"] == "Overloaded"


@row("time-answer", "GatewayTimeout")
def time_answer(ask: Ask) -> None:
    assert "timeout server 180s" in SHORTER
    proxy = ask.fixture("proxy")
    proxy.script.pause = 1.5
    failed(requests.post(f"{proxy.url}{PREDICT}", data=b"an image", timeout=30), 504, "GatewayTimeout")


@row("max-waiting")
def max_waiting(ask: Ask) -> None:
    """Refuse the third request at once, when one is in work and one may wait."""
    assert haproxy.MAX_WAITING == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(haproxy, "MAX_WAITING", 1)
        with running_proxy(explain_at_once=1) as proxy, ThreadPoolExecutor(2) as pool:
            proxy.script.pause = 0.5
            for _ in range(2):
                pool.submit(requests.post, f"{proxy.url}/explanations/digits", data=b"an image", timeout=30)
                time.sleep(0.1)
            answer = requests.post(f"{proxy.url}/explanations/digits", data=b"an image", timeout=30)
    failed(answer, 503, "Overloaded")


@row("time-waiting")
def time_waiting(ask: Ask) -> None:
    """One after the other: who comes last waits too long, and one with a deadline not even so long."""
    assert "timeout queue 30s" in SHORTER
    with running_proxy(explain_at_once=1) as proxy, ThreadPoolExecutor(5) as pool:
        proxy.script.pause = 0.5
        url = f"{proxy.url}/explanations/digits"
        waiting = [pool.submit(requests.post, url, data=b"an image", timeout=30) for _ in range(4)]
        time.sleep(0.1)
        failed(requests.post(f"{url}?deadline_ms=200", data=b"an image", timeout=30), 504, "DeadlineExceeded")
        late = [answer for one in waiting if (answer := one.result()).status_code != 200]
    assert late
    failed(late[0], 503, "Overloaded")
