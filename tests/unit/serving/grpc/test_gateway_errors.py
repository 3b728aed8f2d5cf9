"""Every way in which a call can fail has one code, words that say what to do, and its type as metadata."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from scripts.maintenance.openapi.schemas import all_errors
from serving.grpc import errors
from tests.unit.serving.grpc.fake_proxy import FakeProxy, FakeResponse, error, prediction
from tests.unit.serving.grpc.gateway_process import Gateway, image_request

Code = grpc.StatusCode


def failure(gateway: Gateway, request: Any = None, **options: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as caught:
        gateway.call("ModelInfer", image_request() if request is None else request, **options)
    return caught.value.code(), caught.value.details(), dict(caught.value.trailing_metadata())


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "BadTensor", Code.INVALID_ARGUMENT),
        (400, "UnknownOption", Code.INVALID_ARGUMENT),
        (401, "Unauthorized", Code.UNAUTHENTICATED),
        (403, "Forbidden", Code.PERMISSION_DENIED),
        (404, "ModelNotFound", Code.NOT_FOUND),
        (404, "VersionNotFound", Code.NOT_FOUND),
        (405, "MethodNotAllowed", Code.UNIMPLEMENTED),
        (406, "NotAcceptable", Code.INVALID_ARGUMENT),
        (408, "RequestTimeout", Code.UNAVAILABLE),
        (413, "TooManyImages", Code.INVALID_ARGUMENT),
        (415, "UnsupportedImage", Code.INVALID_ARGUMENT),
        (422, "CorruptImage", Code.INVALID_ARGUMENT),
        (429, "TooManyRequests", Code.UNAVAILABLE),
        (500, "InferenceFailed", Code.INTERNAL),
        (502, "BadGateway", Code.UNAVAILABLE),
        (503, "Overloaded", Code.UNAVAILABLE),
        (504, "GatewayTimeout", Code.DEADLINE_EXCEEDED),
        (418, "Teapot", Code.UNKNOWN),
    ],
)
def test_http_errors_have_grpc_codes(
    proxy: FakeProxy, gateway: Gateway, status: int, kind: str, code: grpc.StatusCode
) -> None:
    proxy.answer = lambda request: error(status, kind, "say é instead")
    assert failure(gateway) == (code, f"{kind}: say é instead", {"torchlight-error-type": kind})


def test_when_to_send_again_and_the_request_id_come_with_an_error(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: error(503, "Overloaded", **{"Retry-After": "2", "X-Request-Id": "abc"})
    assert failure(gateway)[2] == {
        "torchlight-error-type": "Overloaded",
        "retry-after": "2",
        "grpc-retry-pushback-ms": "2000",
        "x-request-id": "abc",
    }


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b'{"type":"\\u00e9\\n","message":""}', b""])
def test_an_error_without_words_is_still_explained(proxy: FakeProxy, gateway: Gateway, body: bytes) -> None:
    proxy.answer = lambda request: FakeResponse(502, body)
    code, details, metadata = failure(gateway)
    assert code is Code.UNAVAILABLE
    assert details == "BadGateway: the proxy answered 502 without a reason: see the server's log"
    assert metadata == {"torchlight-error-type": "BadGateway"}


def test_very_long_words_are_cut_to_what_clients_take(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: error(400, "BadOption", "😀" * 5000)
    code, details, _ = failure(gateway)
    assert code is Code.INVALID_ARGUMENT
    assert len(details) == 600
    assert details.endswith("…")


def test_a_success_outside_of_the_protocol_is_internal(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = lambda request: FakeResponse(200, b"<html>")
    code, details, metadata = failure(gateway)
    assert code is Code.INTERNAL
    assert details.startswith("BadGateway: the proxy's response breaks the protocol")
    assert metadata == {"torchlight-error-type": "BadGateway"}


def test_invalid_grpc_request_never_reaches_the_proxy(proxy: FakeProxy, gateway: Gateway) -> None:
    request = image_request()
    request.raw_input_contents.append(b"")
    code, details, metadata = failure(gateway, request)
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith("BadTensor: raw_input_contents has 2 entries for 1 inputs")
    assert metadata == {"torchlight-error-type": "BadTensor"}
    assert failure(gateway, b"\xff\xff")[:2] == (
        Code.INVALID_ARGUMENT,
        "BadRequest: the message cannot be read as ModelInferRequest: make the client from open_inference.proto",
    )
    assert proxy.requests == []


def test_a_call_that_is_not_offered_names_those_that_are(proxy: FakeProxy, gateway: Gateway) -> None:
    for name in ("RepositoryIndex", "ModelStreamInfer"):
        with pytest.raises(grpc.RpcError) as caught:
            gateway.method(name)(b"", timeout=10)
        assert caught.value.code() is Code.UNIMPLEMENTED
        assert "GRPCInferenceService has ServerLive, ServerReady, " in caught.value.details()


def test_a_message_over_the_limit_is_refused(proxy: FakeProxy, gateway: Gateway) -> None:
    request = image_request()
    request.raw_input_contents[0] = bytes(200_000)
    code, details, _ = failure(gateway, request)
    assert code is Code.RESOURCE_EXHAUSTED
    assert "200000" in details
    assert proxy.requests == []


def test_a_compressed_message_cannot_unpack_past_the_limit(proxy: FakeProxy, gateway: Gateway) -> None:
    request = image_request()
    request.raw_input_contents[0] = bytes(50_000_000)
    code, details, _ = failure(gateway, request, compression=grpc.Compression.Gzip)
    assert code is Code.UNIMPLEMENTED
    assert "gzip" in details
    assert proxy.requests == []


def test_the_callers_deadline_ends_the_http_call(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = proxy.wait
    started = time.monotonic()
    code, _, _ = failure(gateway, timeout=0.3)
    assert code is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2
    assert proxy.left.wait(5)


def test_canceled_call_closes_its_connection_to_the_proxy(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = proxy.wait
    call = gateway.method("ModelInfer").future(image_request(), timeout=20)
    assert proxy.entered.acquire(timeout=10)
    call.cancel()
    assert proxy.left.wait(5)
    proxy.answer = lambda request: prediction()
    assert gateway.call("ModelInfer", image_request()).model_name == "digits"


def test_call_beyond_the_limit_is_refused_at_once(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = proxy.wait
    waiting = [gateway.method("ModelInfer").future(image_request(), timeout=20) for _ in range(4)]
    for _ in waiting:
        assert proxy.entered.acquire(timeout=10)
    assert failure(gateway)[0] is Code.RESOURCE_EXHAUSTED
    proxy.release.set()
    assert [call.result().model_name for call in waiting] == ["digits"] * 4
    proxy.answer = lambda request: prediction()
    assert soon(lambda: gateway.call("ModelInfer", image_request()).model_name == "digits")


def test_calls_at_a_time_get_their_own_answers(proxy: FakeProxy, gateway: Gateway) -> None:
    def echo(request: Any) -> FakeResponse:
        time.sleep(0.01)
        output = {"name": "o", "datatype": "BYTES", "shape": [1], "data": [request.json["id"]]}
        return FakeResponse(200, json.dumps({"model_name": "digits", "outputs": [output]}).encode())

    proxy.answer = echo
    wrong: list[str] = []

    def many(caller: int) -> None:
        for number in range(20):
            name = f"{caller}-{number}"
            if gateway.call("ModelInfer", image_request(id=name)).raw_output_contents[0][4:] != name.encode():
                wrong.append(name)

    callers = [threading.Thread(target=many, args=(caller,)) for caller in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_every_error_of_the_contract_has_a_code_of_its_own() -> None:
    assert {status for status in all_errors().values() if status not in errors._CODES} == set()
