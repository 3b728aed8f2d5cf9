"""Start of the gateway, its answers while the proxy is down, and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import grpc
import pytest

from serving.grpc import open_inference_pb2 as pb
from tests.unit.serving.grpc.fake_proxy import FakeProxy
from tests.unit.serving.grpc.gateway_process import ROOT, Gateway, image_request


@pytest.fixture
def unbatched() -> Iterator[tuple[FakeProxy, Gateway]]:
    """A gateway that a test may end."""
    proxy = FakeProxy()
    gateway = Gateway(proxy.url, "--grace", "5")
    yield proxy, gateway
    gateway.close()
    proxy.close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.grpc.gateway", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_a_call_in_flight_is_finished_before_the_end(unbatched: tuple[FakeProxy, Gateway]) -> None:
    proxy, gateway = unbatched
    proxy.answer = proxy.wait
    call = gateway.method("ModelInfer").future(image_request(), timeout=20)
    assert proxy.entered.acquire(timeout=10)
    gateway.terminate()
    time.sleep(0.3)
    assert gateway.process.poll() is None
    with (
        grpc.insecure_channel(gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other,
        pytest.raises(grpc.RpcError) as caught,
    ):
        other.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    proxy.release.set()
    assert call.result().model_name == "digits"
    assert gateway.process.wait(10) == 0


def test_an_idle_gateway_ends_at_once(unbatched: tuple[FakeProxy, Gateway]) -> None:
    _, gateway = unbatched
    gateway.call("ModelInfer", image_request())
    started = time.monotonic()
    gateway.terminate()
    assert gateway.process.wait(10) == 0
    assert time.monotonic() - started < 2


def test_a_call_that_outlives_the_grace_is_ended(unbatched: tuple[FakeProxy, Gateway]) -> None:
    proxy, gateway = unbatched
    proxy.answer = proxy.wait
    call = gateway.method("ModelInfer").future(image_request(), timeout=20)
    assert proxy.entered.acquire(timeout=10)
    gateway.process.send_signal(signal.SIGINT)  # no grace at all
    assert gateway.process.wait(10) == 0
    assert call.exception().code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_proxy_that_goes_and_comes_back_needs_no_restart(unbatched: tuple[FakeProxy, Gateway]) -> None:
    proxy, gateway = unbatched
    gateway.call("ModelInfer", image_request())
    proxy.close()
    time.sleep(0.1)
    with pytest.raises(grpc.RpcError) as caught:
        gateway.call("ModelInfer", image_request())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details().startswith(f"Unavailable: nothing listens at {proxy.url} (")
    back = FakeProxy(proxy.port)
    assert gateway.call("ModelInfer", image_request()).model_name == "digits"
    back.close()


def test_a_proxy_that_breaks_off_is_unavailable_with_words(unbatched: tuple[FakeProxy, Gateway]) -> None:
    proxy, gateway = unbatched
    proxy.answer = proxy.wait
    call = gateway.method("ModelInfer").future(image_request(), timeout=20)
    assert proxy.entered.acquire(timeout=10)
    for connection in proxy.connections:
        connection.shutdown(socket.SHUT_RDWR)
    error = call.exception()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details().startswith("Unavailable: the proxy closed the connection before it had answered")
    assert error.details().endswith("sending the request again is safe")


def test_missing_proxy_is_unavailable_with_a_message() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        gateway = Gateway(f"http://127.0.0.1:{port}")
        try:
            with pytest.raises(grpc.RpcError) as caught:
                gateway.call("ModelInfer", image_request())
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert caught.value.details().startswith(f"Unavailable: nothing listens at http://127.0.0.1:{port} (")
            assert caught.value.details().endswith("sending the request again is safe")
            assert gateway.call("ServerLive").live is False
            assert gateway.call("ServerReady").ready is False
            assert gateway.call("ModelReady", pb.ModelReadyRequest(name="digits")).ready is False
        finally:
            gateway.close()


def test_gateway_binds_loopback_only(gateway: Gateway) -> None:
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", gateway.port), 2)


def test_a_port_that_is_taken_is_said_in_one_sentence(gateway: Gateway) -> None:
    ended = run("--port", str(gateway.port), "--proxy", "http://127.0.0.1:1")
    assert ended.returncode == 1
    assert ended.stdout == ""
    last = ended.stderr.splitlines()[-1]
    assert last == (
        f"error: port {gateway.port} on 127.0.0.1 cannot be used: stop what uses it, or choose another with --port"
    )


@pytest.mark.slow
@pytest.mark.parametrize("url", ["127.0.0.1:8080", "https://127.0.0.1:8080", "http://127.0.0.1", "http://a:x", ""])
def test_a_proxy_that_is_no_url_is_said_in_one_sentence(url: str) -> None:
    ended = run("--port", "0", "--proxy", url)
    assert ended.returncode == 1
    assert ended.stderr == (f"error: the proxy's URL is {url!r}: give a host and a port, as in http://127.0.0.1:8080\n")
