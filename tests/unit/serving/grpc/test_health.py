"""grpc.health.v1.Health through a gateway that runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb

from tests.unit.serving.grpc.fake_proxy import FakeProxy, FakeResponse, error
from tests.unit.serving.grpc.gateway_process import Gateway

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


def ready(*_: object) -> FakeResponse:
    return FakeResponse(200, json.dumps({"ready": True}).encode(), {"Content-Type": "application/json"})


def not_ready(*_: object) -> FakeResponse:
    return error(503, "NotReady")


@contextmanager
def calls(gateway: Gateway) -> Iterator[Any]:
    """Make a call by name: Check, List or Watch."""
    with grpc.insecure_channel(gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:

        def call(name: str, message: Any, timeout: float = 10) -> Any:
            kind = channel.unary_stream if name == "Watch" else channel.unary_unary
            answer = pb.HealthListResponse if name == "List" else pb.HealthCheckResponse
            method = kind(
                f"/grpc.health.v1.Health/{name}",
                request_serializer=lambda it: it if isinstance(it, bytes) else it.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            return method(message, timeout=timeout)

        yield call


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
def test_check_says_what_the_proxy_says(proxy: FakeProxy, gateway: Gateway, service: str) -> None:
    with calls(gateway) as call:
        for answer, status in ((ready, SERVING), (not_ready, NOT_SERVING), (ready, SERVING)):
            proxy.answer = answer
            assert call("Check", pb.HealthCheckRequest(service=service)).status == status
            assert (proxy.last.method, proxy.last.path) == ("GET", "/v2/health/ready")
            assert call("List", pb.HealthListRequest()).statuses[service].status == status


def test_check_of_an_unknown_service_is_not_found(proxy: FakeProxy, gateway: Gateway) -> None:
    with calls(gateway) as call, pytest.raises(grpc.RpcError) as caught:
        call("Check", pb.HealthCheckRequest(service="cats"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["Check", "Watch"])
def test_unreadable_request_is_an_invalid_argument(proxy: FakeProxy, gateway: Gateway, name: str) -> None:
    with calls(gateway) as call, pytest.raises(grpc.RpcError) as caught:
        list([call(name, b"\x0a\xff")] if name == "Check" else call(name, b"\x0a\xff"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_watch_says_each_change_once(proxy: FakeProxy, gateway: Gateway) -> None:
    proxy.answer = ready
    with calls(gateway) as call:
        watch = call("Watch", pb.HealthCheckRequest())
        assert next(watch).status == SERVING
        proxy.answer = not_ready
        assert next(watch).status == NOT_SERVING
        proxy.answer = ready
        assert next(watch).status == SERVING
        watch.cancel()
        unknown = call("Watch", pb.HealthCheckRequest(service="cats"))
        assert next(unknown).status == UNKNOWN
        unknown.cancel()


def test_watch_ends_with_the_gateway_and_does_not_hold_it_up() -> None:
    proxy = FakeProxy()
    proxy.answer = ready
    gateway = Gateway(proxy.url, "--grace", "60")
    try:
        with calls(gateway) as call:
            watch = call("Watch", pb.HealthCheckRequest(), timeout=60)
            assert next(watch).status == SERVING
            start = time.monotonic()
            gateway.terminate()
            assert [answer.status for answer in watch] == [NOT_SERVING]
            assert gateway.process.wait(10) == 0
            assert time.monotonic() - start < 5
    finally:
        gateway.close()
        proxy.close()


def test_without_a_proxy_nothing_is_served() -> None:
    proxy = FakeProxy()
    proxy.close()
    gateway = Gateway(proxy.url)
    try:
        with calls(gateway) as call:
            assert call("Check", pb.HealthCheckRequest()).status == NOT_SERVING
    finally:
        gateway.close()
