"""Errors: each type word, and how one comes by it."""

from __future__ import annotations

import orjson
import pytest
import requests
import torch

from handlers.classifier import Classifier
from handlers.engines import Outputs
from handlers.explain.plugin import AttributionPlugin
from handlers.pipeline import Pipeline
from handlers.protocols import Response
from handlers.request import Part, RawRequest
from models.card import Limits
from tests.integration.contract import Ask, failed, row, told
from tests.integration.contract.bodies import npy, send_npy
from tests.support.stub_backend import TOKEN, running_proxy

PREDICT, EXPLAIN = "/predictions/digits", "/explanations/digits"


@row("MissingImage")
def no_image(ask: Ask) -> None:
    failed(ask.post(PREDICT, b""), 400, "MissingImage")
    failed(ask.post(PREDICT, {"top_k": "1"}, files={"top_k": (None, "1")}), 400, "MissingImage")


@row("BadMultipart")
def bad_multipart(ask: Ask) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    failed(ask.post(PREDICT, b'--x\r\nrubbish: "\r\n\r\n\r\n--x--', headers=headers), 400, "BadMultipart")
    for cut in (1, 100, 1_500):  # the complete parts must not be answered as if they were all
        whole = requests.Request("POST", ask.server.url, files=[("a", ask.digit["1"]), ("b", ask.digit["2"])]).prepare()
        headers = {"Content-Type": whole.headers["Content-Type"]}
        assert isinstance(whole.body, bytes)
        failed(ask.post(PREDICT, whole.body[: -cut - 6], headers=headers), 400, "BadMultipart")


@row("BadJSON")
def bad_json(ask: Ask) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"[]", b"{}", b'{"image": 1}', b'{"image": "@"}', b"\xff", b'{"instances": []}'):
        failed(ask.post(PREDICT, body, headers=headers), 400, "BadJSON")
    for path in ("/v1/models/digits:predict", "/v2/models/digits/infer"):
        assert "error" in failed(ask.post(path, b"{"), 400, "BadJSON")
        failed(ask.post(path, json={"image": ask.b64("1")}), 400, "BadJSON")


@row("BadTensor")
def bad_tensor(ask: Ask) -> None:
    headers = {"Content-Type": "application/x-npy"}
    whole = npy(torch.zeros(9, 9, dtype=torch.uint8).numpy())
    failed(ask.post(PREDICT, whole[:-1], headers=headers), 400, "BadTensor")
    failed(ask.post(PREDICT, ask.digit["1"], headers=headers), 400, "BadTensor")
    wrong = {"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": [ask.b64("1")]}]}
    assert "error" in failed(ask.post("/v2/models/digits/infer", json=wrong), 400, "BadTensor")


@row("UnknownOption")
def unknown_option(ask: Ask) -> None:
    failed(ask.post(f"{PREDICT}?topk=2", ask.digit["1"]), 400, "UnknownOption")


@row("BadOption")
def bad_option(ask: Ask) -> None:
    failed(ask.post(f"{EXPLAIN}?target=ten", ask.digit["1"]), 400, "BadOption")


@row("BadRequest")
def bad_request(ask: Ask) -> None:
    said = told(ask.server.ports.public, b"GARBAGE\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400")
    with running_proxy(only_model="") as proxy:
        failed(requests.post(f"{proxy.url}/invocations", data=b"an image", timeout=30), 400, "BadRequest")


@row("CrossSite")
def cross_site(ask: Ask) -> None:
    """A form or a script of any page that the user has open sends such a POST; no page can leave these headers out."""
    with running_proxy() as proxy:
        url = f"{proxy.url}/predictions/digits"
        for headers in (
            {"Origin": "https://example.org"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"},
            {"Origin": f"http://attacker.example:{proxy.port}", "Host": f"attacker.example:{proxy.port}"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            failed(requests.post(url, data=b"an image", headers=headers, timeout=30), 403, "CrossSite")
        assert proxy.script.asked == []
        for headers in ({"Sec-Fetch-Site": "none"}, {"Host": "models.lab.example"}):
            assert requests.post(url, data=b"an image", headers=headers, timeout=30).status_code == 200
    with running_proxy(cors_origins=("https://lab.example",)) as proxy:
        for origin, status in (("https://lab.example", 200), ("https://example.org", 403)):
            headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            assert requests.post(proxy.url + PREDICT, data=b"x", headers=headers, timeout=30).status_code == status
    with running_proxy(tokens=True) as proxy:
        headers = {"Origin": "https://example.org", "Authorization": f"Bearer {TOKEN}"}
        answer = requests.post(f"{proxy.url}/predictions/digits", data=b"an image", headers=headers, timeout=30)
        assert answer.status_code == 200, "whoever has the token may"


@row("Unauthorized")
def unauthorized(ask: Ask) -> None:
    with running_proxy(tokens=True) as proxy:
        failed(proxy.answers(200), 401, "Unauthorized")


@row("NotFound")
def not_found(ask: Ask) -> None:
    failed(ask.post("/prediction/digits", ask.digit["1"]), 404, "NotFound")


@row("ModelNotFound")
def model_not_found(ask: Ask) -> None:
    body = failed(ask.post('/predictions/no"quotes', ask.digit["1"]), 404, "ModelNotFound")
    assert "quotes" in body["message"]
    assert "error" in failed(ask.post("/v2/models/nothing/infer", json={}), 404, "ModelNotFound")


@row("VersionNotFound")
def version_not_found(ask: Ask) -> None:
    body = failed(ask.post("/predictions/digits/9.9", ask.digit["1"]), 404, "VersionNotFound")
    assert "1.0" in body["message"]
    failed(ask.fixture("proxy").answers(404), 404, "VersionNotFound")


@row("MethodNotAllowed")
def method_not_allowed(ask: Ask) -> None:
    failed(ask.get(PREDICT), 405, "MethodNotAllowed")
    failed(requests.delete(f"{ask.server.url}/v2/models/digits", timeout=30), 405, "MethodNotAllowed")


@row("NotAcceptable")
def not_acceptable(ask: Ask) -> None:
    for path, accept in ((PREDICT, "image/png"), (EXPLAIN, "image/webp"), (EXPLAIN, "application/json;q=0")):
        failed(ask.post(path, ask.digit["1"], headers={"Accept": accept}), 406, "NotAcceptable")
    both = [("a", ask.digit["1"]), ("b", ask.digit["2"])]
    failed(ask.post(EXPLAIN, files=both, headers={"Accept": "image/png"}), 406, "NotAcceptable")


@row("ImageTooLarge")
def image_too_large(ask: Ask) -> None:
    failed(send_npy(ask, torch.zeros(5_001, 5_000, dtype=torch.bool).numpy()), 413, "ContentTooLarge")
    failed(ask.post(PREDICT, b"\0" * 6_000_001), 413, "ImageTooLarge")


@row("TooManyImages")
def too_many_images(ask: Ask) -> None:
    files = [("image", ask.digit["1"])] * 65
    failed(ask.post(PREDICT, files=files), 413, "TooManyImages")


@row("ContentTooLarge")
def request_too_large(ask: Ask) -> None:
    failed(ask.post(PREDICT, b"\0" * 8_500_001), 413, "ContentTooLarge")
    failed(ask.fixture("proxy").answers(413), 413, "ContentTooLarge")


@row("UnsupportedImage")
def unsupported_image(ask: Ask) -> None:
    failed(ask.post(PREDICT, b"GIF89a rubbish"), 415, "UnsupportedImage")


@row("CorruptImage")
def damaged_image(ask: Ask) -> None:
    failed(ask.post(PREDICT, ask.digit["1"][:-300]), 422, "CorruptImage")
    both = [("good", ask.digit["1"]), ("cut", ask.digit["1"][:-300])]
    body = failed(ask.post(PREDICT, files=both), 422, "CorruptImage")
    assert body["message"].startswith("image 2 of 2 ('cut'): ")


@row("WorkerDied")
def worker_died(ask: Ask) -> None:
    """The real thing is in tests/integration/test_life.py; here, what TorchServe says then."""
    died = '{"code": 500, "type": "InternalServerException", "message": "Worker died."}'
    failed(ask.fixture("proxy").answers(500, died), 500, "WorkerDied")
    failed(ask.fixture("proxy").answers(507), 500, "WorkerDied")


@row("NotReady")
def not_ready(ask: Ask) -> None:
    """Read the reason from the supervisor's map; tests/integration/server/test_health.py has real workers."""
    reason = "digits 1.0 has no READY predict worker (0 of 1)"
    with running_proxy(health=f"digits/1.0 {reason}\nunready {reason}\n") as proxy:
        for path in ("/ping", "/v2/health/ready", "/v1/models/digits", "/v2/models/digits/versions/1.0/ready"):
            answer = requests.get(proxy.url + path, timeout=30)
            assert failed(answer, 503, "NotReady")["message"] == reason
            assert answer.headers["Retry-After"] == "1"
        assert requests.get(f"{proxy.url}/v2/health/live", timeout=30).status_code == 200


@row("ProxyError")
def front_proxy_failed(ask: Ask) -> None:
    """HAProxy answers so where it fails itself, which nobody should bring about; its words are in its configuration."""
    text = (ask.server.instance.folder / "haproxy.cfg").read_text()
    assert '{"code":500,"type":"ProxyError","message":"the proxy failed on this request' in text


@row("BadGateway")
def bad_gateway(ask: Ask) -> None:
    failed(ask.fixture("proxy").answers(0), 502, "BadGateway")


@row("Unavailable")
def unavailable(ask: Ask) -> None:
    with running_proxy() as proxy:
        proxy.backend.shutdown()
        proxy.backend.server_close()
        answer = requests.post(f"{proxy.url}{PREDICT}", data=b"an image", timeout=30)
    failed(answer, 503, "Unavailable")
    assert answer.headers["Retry-After"] == "1"


# ---- what only a broken model does, asked without a server


def broken(ask: Ask, raises: Exception) -> Response:
    """The answer of a model whose network raises."""
    classifier = Classifier.load(ask.server.workspace / "releases" / "digits" / "1.0")

    def outputs(batch: torch.Tensor) -> Outputs:
        raise raises

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier.engine, "outputs", outputs)
        return Pipeline(classifier, AttributionPlugin).answer(
            [RawRequest("predict", (Part("body", ask.digit["1"]),), {})]
        )[0]


def assert_answer(answer: Response, status: int, kind: str) -> None:
    body = orjson.loads(answer.body)
    assert (answer.status, body["code"], body["type"]) == (status, status, kind)


@row("InferenceFailed")
def inference_failed(ask: Ask) -> None:
    assert_answer(broken(ask, RuntimeError("no")), 500, "InferenceFailed")


@row("OutOfMemory")
def out_of_memory(ask: Ask) -> None:
    assert_answer(broken(ask, MemoryError()), 503, "OutOfMemory")


@row("DeadlineExceeded")
def deadline_exceeded(ask: Ask) -> None:
    """Refuse in the worker, from the proxy's start; test_explain_workers.py has the real proxy."""
    classifier = Classifier.load(ask.server.workspace / "releases" / "digits" / "1.0")
    headers = {"x-torchlight-query": "deadline_ms=5000"}
    late = RawRequest("explain", (Part("body", ask.digit["1"]),), headers, queue_seconds=4.9999)
    assert_answer(Pipeline(classifier, AttributionPlugin).answer([late])[0], 504, "DeadlineExceeded")


@row("ResponseTooLarge", "max-answer-bytes")
def answer_too_large(ask: Ask) -> None:
    assert Limits().max_answer_bytes == 16_000_000
    limits = Limits(max_answer_bytes=1000)
    classifier = Classifier.load(ask.server.workspace / "releases" / "digits" / "1.0", limits=limits)
    parts = tuple(Part(f"part {number}", ask.digit["1"]) for number in range(5))
    assert_answer(
        Pipeline(classifier, AttributionPlugin).answer([RawRequest("predict", parts, {})])[0], 413, "ResponseTooLarge"
    )
