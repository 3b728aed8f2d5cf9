"""TorchServe's worker protocol against TorchServe's own code: the same bytes, the same messages."""

from __future__ import annotations

import importlib.util
import logging
import socket
import struct
import threading
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import torchserve_protocol

with warnings.catch_warnings():  # importing TorchServe leaves a file open
    warnings.simplefilter("ignore", ResourceWarning)
    from ts.context import Context, RequestProcessor
    from ts.protocol import otf_message_handler as stock

    # A separate copy of the module: tests of the handler have replaced functions in the worker's copy.
    _spec = importlib.util.find_spec("ts.service")
    assert _spec is not None
    assert _spec.loader is not None
    their_service = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(their_service)

RAW = {"TS_DECODE_INPUT_REQUEST": "false"}


def text(content: bytes) -> bytes:
    return struct.pack("!i", len(content)) + content


END = struct.pack("!i", -1)
SHORT = st.binary(max_size=40)
NAMES = st.text(max_size=12).map(str.encode)
HEADERS = st.lists(st.tuples(NAMES, NAMES), max_size=5)
PARTS = st.lists(
    st.tuples(NAMES, st.sampled_from([b"", b"image/png", b"application/json", b"text/plain"]), SHORT), max_size=4
)
REQUESTS = st.lists(st.tuples(NAMES, HEADERS, PARTS), max_size=5)


def batch(requests: Sequence[tuple[bytes, Any, Any]]) -> bytes:
    """A batch as Java writes it (org.pytorch.serve.util.codec.ModelRequestEncoder)."""
    message = b"I"
    for request_id, headers, parts in requests:
        message += text(request_id)
        message += b"".join(text(name) + text(value) for name, value in headers) + END
        message += b"".join(text(name) + text(kind) + text(value) for name, kind, value in parts) + END
    return message + END


BATCHES = REQUESTS.map(batch)
LOADS = st.builds(
    lambda name, path, size, handler, gpu, envelope, limit: (
        b"L"
        + text(name)
        + text(path)
        + struct.pack("!i", size)
        + text(handler)
        + struct.pack("!i", gpu)
        + text(envelope)
        + struct.pack("!?", limit)
    ),
    NAMES,
    NAMES,
    st.integers(1, 99),
    NAMES,
    st.integers(-1, 7),
    NAMES,
    st.booleans(),
)


class Pieces:
    """A connection from which bytes come in pieces of these sizes, in turn."""

    def __init__(self, content: bytes, sizes: Sequence[int] = (1 << 30,)) -> None:
        self.content = content
        self.sizes = list(sizes)
        self.calls = 0

    def recv(self, most: int) -> bytes:
        size = min(most, self.sizes[self.calls % len(self.sizes)])
        self.calls += 1
        found, self.content = self.content[:size], self.content[size:]
        return found


@pytest.fixture(autouse=True)
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TS_DECODE_INPUT_REQUEST", "false")


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(BATCHES, BATCHES, LOADS), min_size=1, max_size=4), st.lists(st.integers(1, 50), min_size=1))
def test_messages_are_those_that_torchserve_reads_whatever_pieces_they_come_in(
    messages: list[bytes], sizes: list[int]
) -> None:
    content = b"".join(messages)
    theirs, ours = Pieces(content), torchserve_protocol.reading(stock.retrieve_msg)
    connection: Any = Pieces(content, sizes)
    for _ in messages:
        assert ours(connection) == stock.retrieve_msg(theirs)
    assert connection.content == theirs.content == b""


def test_a_batch_of_small_images_takes_one_call() -> None:
    requests = [(b"id", [(b"host", b"a"), (b"accept", b"*/*")], [(b"body", b"image/png", bytes(300))])] * 32
    connection: Any = Pieces(batch(requests))
    _, found = torchserve_protocol.reading(stock.retrieve_msg)(connection)
    assert (len(found), connection.calls) == (32, 1)


def test_a_large_body_is_whole_over_a_real_socket() -> None:
    image = bytes(range(256)) * 20_000
    content = batch([(b"1", [], [(b"body", b"", image)]), (b"2", [], [(b"body", b"", image[::-1])])])
    here, there = socket.socketpair()
    with here, there:
        sender = threading.Thread(target=there.sendall, args=(content * 2,))
        sender.start()
        retrieve = torchserve_protocol.reading(stock.retrieve_msg)
        for _ in range(2):
            command, requests = retrieve(here)
            assert command == b"I"
            assert [one["parameters"][0]["value"] for one in requests] == [image, image[::-1]]
        sender.join()


@pytest.mark.parametrize("content", [b"", b"I", b"I\x00\x00", batch([(b"1", [], [])])[:-2], b"L\x00"])
def test_a_worker_ends_when_torchserve_hangs_up(content: bytes) -> None:
    connection: Any = Pieces(content)
    with pytest.raises(SystemExit) as ended:
        torchserve_protocol.reading(stock.retrieve_msg)(connection)
    assert ended.value.code == 0


def test_a_command_that_there_is_not_is_torchserves_error() -> None:
    connection: Any = Pieces(b"X")
    with pytest.raises(ValueError, match="Invalid command"):
        torchserve_protocol.reading(stock.retrieve_msg)(connection)


def test_a_second_connection_begins_anew() -> None:
    retrieve = torchserve_protocol.reading(stock.retrieve_msg)
    for content in (batch([(b"1", [], [])]) + b"left", batch([(b"2", [], [])])):
        connection: Any = Pieces(content)
        _, (request,) = retrieve(connection)
    assert request["requestId"] == b"2"


original = their_service.Service.retrieve_data_for_inference


@settings(max_examples=60, deadline=None)
@given(REQUESTS)
def test_requests_reach_the_handler_as_from_torchserve(requests: list[Any]) -> None:
    apart = [(one, headers, list({part[0]: part for part in parts}.values())) for one, headers, parts in requests]
    _, messages = stock.retrieve_msg(Pieces(batch(apart)))
    theirs, ours = original(messages), torchserve_protocol.requests(messages, RequestProcessor)
    assert [one.get_request_properties() for one in ours[0]] == [one.get_request_properties() for one in theirs[0]]
    assert ours[1:] == theirs[1:]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([(200, "OK"), (422, "Unprocessable Entity"), (503, None)]), HEADERS, SHORT),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([None, "application/json", "image/png"]),
)
def test_answers_are_the_bytes_that_torchserve_sends(answers: list[Any], kind: str | None) -> None:
    ids = {place: f"id-é-{place}" for place in range(len(answers))}

    def context() -> Context:
        found = Context("m", "", None, 1, None, "")
        found.request_processor = [RequestProcessor({}) for _ in answers]
        for place, ((status, phrase), headers, _) in enumerate(answers):
            found.set_response_status(status, phrase, place)
            for name, value in headers:
                found.set_response_header(place, name.decode(), value.decode())
            if kind:
                found.set_response_content_type(place, kind)
        return found

    bodies = [body for *_, body in answers]
    respond = torchserve_protocol.answering(stock.create_predict_response)
    assert respond(bodies, ids, "Prediction success", 200, context=context()) == stock.create_predict_response(
        bodies, ids, "Prediction success", 200, context=context()
    )


def test_a_batch_that_failed_is_answered_by_torchserve() -> None:
    respond = torchserve_protocol.answering(stock.create_predict_response)
    assert respond(None, {0: "a"}, "Prediction failed", 503) == stock.create_predict_response(
        None, {0: "a"}, "Prediction failed", 503
    )


def parts(*names: str) -> list[dict[str, Any]]:
    _, (inputs,), _ = torchserve_protocol.requests(
        [{"requestId": b"1", "parameters": [{"name": n, "value": i, "contentType": ""} for i, n in enumerate(names)]}],
        RequestProcessor,
    )
    return [inputs]


def test_parts_that_share_a_name_are_numbered() -> None:
    assert parts("image", "image", "top_k", "image") == [{"image": 0, "image#2": 1, "top_k": 2, "image#3": 3}]


def test_a_number_that_another_part_has_already_is_left_out() -> None:
    assert parts("image", "image#2", "image", "image") == [{"image": 0, "image#2": 1, "image#3": 2, "image#4": 3}]


# ---- how it comes in


def a_worker() -> tuple[Any, Any, Any]:
    service = SimpleNamespace(
        Service=SimpleNamespace(retrieve_data_for_inference=original),
        RequestProcessor=RequestProcessor,
        create_predict_response=stock.create_predict_response,
    )
    noted: list[str] = []
    metrics = SimpleNamespace(noted=noted, add_time=lambda name, value, **more: noted.append(name))
    return SimpleNamespace(retrieve_msg=stock.retrieve_msg), service, metrics


def installed(environment: dict[str, str] = RAW, version: str = torchserve_protocol.VERSION) -> tuple[Any, Any, Any]:
    worker, service, metrics = a_worker()
    torchserve_protocol.install(worker, service, metrics, environment, version)
    return worker, service, metrics


def is_stock(worker: Any, service: Any) -> list[bool]:
    replaced: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (worker.retrieve_msg, stock.retrieve_msg),
        (service.create_predict_response, stock.create_predict_response),
    ]
    return [now is before for now, before in replaced]


def test_the_workers_loop_gets_what_stands_in() -> None:
    worker, service, metrics = installed()
    assert is_stock(worker, service) == [False, False]
    metrics.add_time("PredictionTime", 3.0)
    metrics.add_time("OwnTime", 3.0, unit="ms")
    assert metrics.noted == ["OwnTime"], "a line for each batch that nobody reads is not written"


@pytest.mark.parametrize(
    ("environment", "version", "why"),
    [
        (RAW | {"TORCHLIGHT_WIRE": "stock"}, torchserve_protocol.VERSION, "TORCHLIGHT_WIRE is stock"),
        (RAW, "0.12.1", "this is TorchServe 0.12.1"),
        ({}, torchserve_protocol.VERSION, "decode_input_request"),
        ({"TS_DECODE_INPUT_REQUEST": "true"}, torchserve_protocol.VERSION, "decode_input_request"),
    ],
)
def test_torchserves_own_stay_where_they_must_and_one_line_says_why(
    environment: dict[str, str], version: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker, service, _ = installed(environment, version)
    assert is_stock(worker, service) == [True, True]
    assert [why in record.message for record in caplog.records] == [True]


def test_without_a_workers_loop_nothing_but_the_names_of_parts_changes() -> None:
    _, service, metrics = a_worker()
    torchserve_protocol.install(SimpleNamespace(), service, metrics, RAW, torchserve_protocol.VERSION)
    assert service.create_predict_response is stock.create_predict_response
    assert service.Service.retrieve_data_for_inference is not original
