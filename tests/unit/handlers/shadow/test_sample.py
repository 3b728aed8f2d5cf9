"""Samples on the socket: what a worker writes, the replayer reads."""

from __future__ import annotations

import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from handlers.protocols import Response
from handlers.protocols.multipart import Part
from handlers.request import RawRequest
from handlers.shadow.sample import Sample
from serving.rollout.shadow.samples import SampleServer

HEADERS = {
    "content-type": "image/png",
    "x-request-id": "mine",
    "x-torchlight-route": "v2",
    "authorization": "Bearer secret",
    "x-torchlight-start": "1",
    "x-torchlight-movable": "1",
    "explain": "False",
}


def sample_of(*parts: Part) -> Sample | None:
    response = Response(b"answer", {"content-type": "application/json"}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Sample.of(RawRequest("predict", parts, HEADERS, "1", 0.1), response)


def test_the_replayer_reads_what_a_worker_writes(tmp_path: Path) -> None:
    sample = sample_of(Part("body", b"\x00image", ""))
    assert sample is not None
    server = SampleServer(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as worker:
        worker.connect(str(tmp_path / "s"))
        worker.sendall(b"".join(sample.frame(dropped=3) + sample.frame(dropped=0)))
        assert server.next(1) is None, "the connection itself"
        first, second = server.next(1), server.next(1)
    server.close()
    assert first is not None
    assert second is not None
    assert (first.body, first.answer, first.status, first.dropped) == (b"\x00image", b"answer", 422, 3)
    assert first.answer_headers == {"content-type": "application/json"}
    assert second.dropped == 0


def test_a_sample_has_no_token_and_no_mark_of_its_own_request() -> None:
    sample = sample_of(Part("body", b"image", ""))
    assert sample is not None
    assert sample.headers == {"content-type": "image/png", "x-request-id": "mine", "x-torchlight-route": "v2"}


@pytest.mark.parametrize("parts", [(), (Part("a", b"1", ""), Part("b", b"2", "")), (Part("body", {"a": 1}, ""),)])
def test_a_request_without_one_body_is_no_sample(parts: tuple[Part, ...]) -> None:
    assert sample_of(*parts) is None
