"""Headers, of requests and of answers."""

from __future__ import annotations

import re
import socket

import pytest
import requests

from serving.web.documents import OPENAPI
from tests.integration.contract import Ask, failed, labels, ok, row, told
from tests.integration.contract.bodies import elements, send_binary
from tests.support.stub_backend import TOKEN, running_proxy

TWO_VERSIONS = "digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n"
PREDICT, EXPLAIN = "/predictions/digits", "/explanations/digits"


@row("accept")
def accept(ask: Ask) -> None:
    for value, kind in {
        "image/png": "image/png",
        "application/x-npy": "application/x-npy",
        "image/png;q=0.5, application/json": "application/json",
        "image/*": "image/png",
        "*/*": "application/json",
    }.items():
        answer = ask.post(EXPLAIN, ask.digit["3"], headers={"Accept": value})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    on_v1 = ask.post("/v1/models/digits:explain", json={"instances": [ask.b64("3")]}, headers={"Accept": "image/png"})
    assert labels(on_v1) == ["3"]


@row("authorization", "has-challenge")
def authorization(ask: Ask) -> None:
    with running_proxy(tokens=True) as proxy:
        url = f"{proxy.url}{PREDICT}"
        wrong = (
            "Bearer wrong",
            TOKEN,
            f"Bearer x, Bearer {TOKEN}",
            f"Bearer {TOKEN} x",
            f"Basic {TOKEN}",
            "Bearer",
            "",
        )
        for headers in ({}, *({"Authorization": value} for value in wrong)):
            refused = requests.post(url, data=b"an image", headers=headers, timeout=30)
            failed(refused, 401, "Unauthorized")
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer  "):
            right = {"Authorization": f"{scheme} {TOKEN}"}
            assert requests.post(url, data=b"an image", headers=right, timeout=30).status_code == 200
        twice = f"Authorization: Bearer {TOKEN}\r\n" * 2
        request = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n{twice}Content-Length: 2\r\n\r\nab"
        assert told(proxy.port, request.encode()).startswith(b"HTTP/1.1 401")
        assert requests.get(f"{proxy.url}/v2/health/live", timeout=30).status_code == 200
        failed(requests.get(f"{proxy.url}/openapi.json", timeout=30), 401, "Unauthorized")


@row("expect", "ExpectationFailed")
def expect(ask: Ask) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(ask.digit['3'])}\r\n"
    for lines in ("Expect: y", "Expect: 100-continue, y", "Expect:", "Expect: 100-continue\r\nExpect: y"):
        said = told(ask.server.ports.public, f"{head}{lines}\r\n\r\n".encode() + ask.digit["3"])
        assert said.startswith(b"HTTP/1.1 417"), lines
        assert b'"type":"ExpectationFailed"' in said
    said = told(ask.server.ports.public, f"{head}Expect: 100-Continue\r\n\r\n".encode() + ask.digit["3"])
    assert b"HTTP/1.1 200" in said
    with socket.create_connection(("127.0.0.1", ask.server.ports.public), timeout=15) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(ask.digit["3"])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@row("request-id")
def request_id(ask: Ask) -> None:
    for given in ("7", "a.b_c:d@e/f+g=h-i", "x" * 128):
        answer = ask.post(PREDICT, ask.digit["3"], headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == ok(answer)["request_id"] == given
    for odd in ("", "a b", "a b, xyz", 'a"b', "x" * 129, "-x"):
        answer = ask.post(PREDICT, ask.digit["3"], headers={"X-Request-Id": odd})
        assert answer.headers["X-Request-Id"] == ok(answer)["request_id"]
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-Id"])


@row("ask-version")
def ask_version(ask: Ask) -> None:
    right, wrong = {"X-Model-Version": "1.0"}, {"X-Model-Version": "9.9"}
    v1, v2 = {"instances": [ask.b64("3")]}, ask.v2("3")
    for path, body in {
        PREDICT: ask.digit["3"],
        EXPLAIN: ask.digit["3"],
        "/v1/models/digits:predict": v1,
        "/v2/models/digits/infer": v2,
        "/invocations": ask.digit["3"],
        "/endpoints/digits/invocations": ask.digit["3"],
    }.items():
        image, document = (None, body) if isinstance(body, dict) else (body, None)
        assert ask.post(path, image, json=document, headers=right).headers["X-Model-Version"] == "1.0"
        failed(ask.post(path, image, json=document, headers=wrong), 404, "VersionNotFound")
    for path in ("/v1/models/digits", "/v2/models/digits/ready", "/v2/models/digits"):
        assert ask.get(path, headers=right).status_code == 200
        failed(ask.get(path, headers=wrong), 404, "VersionNotFound")
    assert ask.post(f"{PREDICT}/1.0", ask.digit["3"], headers=wrong).status_code == 200  # the path comes first


@row("client-id")
def client_id(ask: Ask) -> None:
    with running_proxy(versions=TWO_VERSIONS, splits="digits 2.0:5000:header:0\n") as proxy:
        for name in range(20):
            headers = {"X-Client-Id": f"client {name}"}
            for _ in range(5):
                requests.post(f"{proxy.url}{PREDICT}", data=b"an image", headers=headers, timeout=30)
        by_client = [set(proxy.script.asked[start : start + 5]) for start in range(0, 100, 5)]
    assert {len(paths) for paths in by_client} == {1}
    assert len(set.union(*by_client)) == 2


@row("cookie", "has-cookie")
def cookie(ask: Ask) -> None:
    assert "Set-Cookie" not in ask.post(PREDICT, ask.digit["3"]).headers
    with running_proxy(versions=TWO_VERSIONS, splits="digits 2.0:5000:cookie:0\n") as proxy:
        for _ in range(20):
            proxy.script.asked.clear()
            client = requests.Session()
            answers = [client.post(f"{proxy.url}{PREDICT}", data=b"an image", timeout=30) for _ in range(4)]
            assert re.fullmatch(r"torchlight-client=\d{1,4}; Path=/; .*HttpOnly.*", answers[0].headers["Set-Cookie"])
            assert not any("Set-Cookie" in answer.headers for answer in answers[1:])
            assert len(set(proxy.script.asked)) == 1
        for damaged in ("", "x", "10000", "-1"):
            headers = {"Cookie": f"torchlight-client={damaged}"}
            answer = requests.post(f"{proxy.url}{PREDICT}", data=b"an image", headers=headers, timeout=30)
            assert "Set-Cookie" in answer.headers


@row("binary-length")
def binary_length(ask: Ask) -> None:
    data = elements(ask.digit["3"])
    assert labels(send_binary(ask, "BYTES", [1], data)) == ["3"]
    for length in ("x", "-1", "999999999"):
        headers = {"Inference-Header-Content-Length": length}
        failed(ask.post("/v2/models/digits/infer", data, headers=headers), 400, "BadTensor")


@row("target-model")
def target_model(ask: Ask) -> None:
    for name in ("digits", "digits.mar", "digits.tar.gz"):
        headers = {"X-Amzn-SageMaker-Target-Model": name}
        assert labels(ask.post("/invocations", ask.digit["3"], headers=headers)) == ["3"]
    headers = {"X-Amzn-SageMaker-Target-Model": "nothing.mar"}
    failed(ask.post("/invocations", ask.digit["3"], headers=headers), 404, "ModelNotFound")


@row("target-variant", "has-variant")
def target_variant(ask: Ask) -> None:
    path, headers = "/endpoints/digits/invocations", {"X-Amzn-SageMaker-Target-Variant": "1.0"}
    answer = ask.post(path, ask.digit["3"], headers=headers)
    assert ok(answer)["version"] == answer.headers["X-Amzn-Invoked-Production-Variant"] == "1.0"
    headers = {"X-Amzn-SageMaker-Target-Variant": "9.9"}
    refused = ask.post(path, ask.digit["3"], headers=headers)
    failed(refused, 404, "VersionNotFound")
    assert "X-Amzn-Invoked-Production-Variant" not in refused.headers


@row("has-error-type")
def has_error_type(ask: Ask) -> None:
    refused = {"/endpoints/nothing/invocations": ask.digit["3"], "/endpoints/digits/invocations": b"not an image"}
    for path, body in refused.items():
        answer = ask.post(path, body)
        assert 400 <= answer.status_code < 500
        assert answer.headers["X-Amzn-ErrorType"] == "ValidationError"
    assert "X-Amzn-ErrorType" not in ask.post("/invocations", b"not an image").headers


@row("content-encoding", "UnsupportedEncoding")
def content_encoding(ask: Ask) -> None:
    for encoding in ("gzip", "br"):
        answer = ask.post(PREDICT, ask.digit["3"], headers={"Content-Encoding": encoding})
        failed(answer, 415, "UnsupportedEncoding")
    assert labels(ask.post(PREDICT, ask.digit["3"], headers={"Content-Encoding": "identity"})) == ["3"]


@row("accept-encoding", "if-none-match", "has-etag")
def documents(ask: Ask) -> None:
    tags = {}
    for coding, encoding in {"gzip": "gzip", "identity": None, "br, gzip;q=0": None}.items():
        got = ask.get("/openapi.json", headers={"Accept-Encoding": coding})
        assert got.headers.get("Content-Encoding") == encoding
        assert got.content == OPENAPI.read_bytes()
        assert (got.headers["Cache-Control"], got.headers["Vary"]) == ("no-cache", "Accept-Encoding")
        tags[coding] = got.headers["ETag"]
        current = ask.get("/openapi.json", headers={"Accept-Encoding": coding, "If-None-Match": got.headers["ETag"]})
        assert (current.status_code, current.content, current.headers["ETag"]) == (304, b"", got.headers["ETag"])
        assert ask.get("/openapi.json", headers={"If-None-Match": '"another"'}).status_code == 200
    assert tags["gzip"] != tags["identity"] == tags["br, gzip;q=0"]
    plain = ask.post(PREDICT, ask.digit["3"], headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers


@row("not-passed")
def not_passed(ask: Ask) -> None:
    headers = {"explain": "True", "describe": "True", "X-Torchlight-Query": "top_k=1", "X-Torchlight-Route": "v1"}
    for path in (PREDICT, "/invocations"):
        body = ok(ask.post(path, ask.digit["3"], headers=headers))
        assert "method" not in body
        assert len(body["predictions"]) == 5


@row("has-version")
def has_version(ask: Ask) -> None:
    assert ask.post(PREDICT, ask.digit["3"]).headers["X-Model-Version"] == "1.0"
    assert ask.post(PREDICT, b"rubbish").headers["X-Model-Version"] == "1.0"
    assert "X-Model-Version" not in ask.get("/v2").headers


@row("has-engine")
def has_engine(ask: Ask) -> None:
    assert ask.post(PREDICT, ask.digit["3"]).headers["X-Model-Engine"] == "eager"
    assert "X-Model-Engine" not in ask.get("/v2").headers


@row("has-request-id")
def has_request_id(ask: Ask) -> None:
    headers = {"X-Request-Id": "mine"}
    answers = [ask.get(path, headers=headers) for path in ("/ping", "/v2", "/nothing", "/openapi.json", PREDICT)]
    answers.append(ask.post(PREDICT, b"rubbish", headers=headers))
    assert [answer.headers["X-Request-Id"] for answer in answers] == ["mine"] * 6
    ask.server.await_logged('"id":"mine"')


@row("has-timing")
def has_timing(ask: Ask) -> None:
    for path, stages in {
        f"{PREDICT}?timing=true": ["queue", "decode", "inference", "encode"],
        f"{EXPLAIN}?timing=true": ["queue", "decode", "inference", "explanation", "render", "encode"],
    }.items():
        entries = ask.post(path, ask.digit["3"]).headers["Server-Timing"].split(", ")
        assert [entry.partition(";")[0] for entry in entries] == stages
        assert all(0 <= float(entry.partition(";dur=")[2]) < 60_000 for entry in entries)
    assert "Server-Timing" not in ask.post(PREDICT, ask.digit["3"]).headers


@row("has-allow")
def has_allow(ask: Ask) -> None:
    assert ask.get(PREDICT).headers["Allow"] == "POST, PUT, OPTIONS"
    assert ask.post("/v2/health/live").headers["Allow"] == "GET, HEAD, OPTIONS"


@row("has-length")
def has_length(ask: Ask) -> None:
    answer = ask.post("/v2/models/digits/infer", json=ask.v2("3", parameters={"binary_data_output": True}))
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert answer.content[length - 1 : length] == b"}"
    assert "Inference-Header-Content-Length" not in ask.post("/v2/models/digits/infer", json=ask.v2("3")).headers


@row("has-retry-after", "Overloaded")
def has_retry_after(ask: Ask) -> None:
    proxy = ask.fixture("proxy")
    answer = proxy.answers(503)
    failed(answer, 503, "Overloaded")
    assert answer.headers["Retry-After"] == "1"
    proxy.answers(200)
    with pytest.raises(KeyError):
        _ = proxy.answers(200).headers["Retry-After"]
