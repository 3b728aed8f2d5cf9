from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.rollout.shadow import replay
from serving.rollout.shadow.replay import NoAnswer, ReplayClient
from serving.rollout.shadow.samples import Sample
from tests.unit.serving.rollout.shadow.fake_proxy import Copy, FakeProxy, Reply

SAMPLE = Sample({"content-type": "image/png", "accept": "application/json", "x-top-k": "2"}, b"image", 200, {}, b"")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ReplayClient]:
    client = ReplayClient(tmp_path / "p", "digits", explain_workers=1)
    yield client
    client.close()


def test_a_copy_has_the_headers_and_the_body_of_its_request(tmp_path: Path, client: ReplayClient) -> None:
    with FakeProxy(tmp_path / "p", lambda copy: Reply(422, b"answer")) as proxy:
        answer = client.predict("2.0", SAMPLE)
    (copy,) = proxy.copies
    assert (copy.path, copy.body) == ("/predictions/digits-explain/2.0", b"image")
    assert {name: copy.headers[name] for name in SAMPLE.headers} == SAMPLE.headers
    assert copy.headers["x-torchlight-shadow"] == "1"
    assert (answer.status, answer.body, answer.from_handler) == (422, b"answer", True)


def test_without_explain_workers_predict_workers_answer(tmp_path: Path) -> None:
    client = ReplayClient(tmp_path / "p", "digits", explain_workers=0)
    with FakeProxy(tmp_path / "p", lambda copy: Reply()) as proxy:
        client.predict("2.0", SAMPLE)
        client.close()
    assert proxy.copies[0].path == "/predictions/digits/2.0"


def test_an_explanation_is_asked_for_as_bare_maps(tmp_path: Path, client: ReplayClient) -> None:
    with FakeProxy(tmp_path / "p", lambda copy: Reply()) as proxy:
        client.explain("2.0", SAMPLE, "gradcam")
        client.explain("2.0", SAMPLE, None)
    first, second = proxy.copies
    assert first.path == "/explanations/digits-explain/2.0"
    assert (first.headers["x-torchlight-maps"], first.headers["x-explain-method"]) == ("1", "gradcam")
    assert "x-explain-method" not in second.headers
    assert "accept" not in first.headers


def test_an_overloaded_version_is_asked_again(tmp_path: Path, client: ReplayClient) -> None:
    replies = iter([Reply(503, headers={}), Reply(404, headers={}), Reply(200, b"answer")])
    with FakeProxy(tmp_path / "p", lambda copy: next(replies)):
        assert client.predict("2.0", SAMPLE).body == b"answer"


@pytest.mark.parametrize("status", [502, 503, 504, 404])
def test_a_version_that_does_not_answer_is_no_evidence(tmp_path: Path, client: ReplayClient, status: int) -> None:
    with (
        FakeProxy(tmp_path / "p", lambda copy: Reply(status, headers={})) as proxy,
        pytest.raises(NoAnswer, match=rf"digits-explain 2\.0 does not answer: status {status}"),
    ):
        client.predict("2.0", SAMPLE)
    assert len(proxy.copies) == replay.ATTEMPTS


def test_no_proxy_is_no_evidence(client: ReplayClient) -> None:
    with pytest.raises(NoAnswer, match="FileNotFoundError"):
        client.predict("2.0", SAMPLE)


def test_a_worker_that_dies_with_a_request_is_evidence(tmp_path: Path, client: ReplayClient) -> None:
    with FakeProxy(tmp_path / "p", lambda copy: Reply(500, headers={})) as proxy:
        answer = client.predict("2.0", SAMPLE)
    assert (answer.status, answer.from_handler, len(proxy.copies)) == (500, False, 1)


@pytest.mark.parametrize(
    ("body", "method"),
    [(json.dumps({"explanations": {"method": "ig"}}).encode(), "ig"), (b"{}", None), (b"", None), (b"[]", None)],
)
def test_the_default_method_is_the_cards(tmp_path: Path, client: ReplayClient, body: bytes, method: str | None) -> None:
    def reply(copy: Copy) -> Reply:
        assert (copy.headers["describe"], copy.body) == ("True", b"")
        return Reply(body=body)

    with FakeProxy(tmp_path / "p", reply):
        assert client.default_method("1.0") == method
