"""The end of a run without losing a request: calls over gRPC are finished first, then all that the proxy has."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from serving.errors import Unreachable
from serving.proxy.routing import Routing

# What requests in flight get, as HAProxy's hard-stop-after has it.
DRAIN_SECONDS = 60
GRPC_DRAIN_SECONDS = 15
GATEWAY_STOP_SECONDS = 3


def drain(
    haproxy: subprocess.Popen[bytes], gateway: subprocess.Popen[bytes], routing: Routing, hurry: Callable[[], bool]
) -> None:
    """Let both take nothing new, and wait until they have answered what they have; `hurry` ends the waiting."""
    _drain_gateway(gateway, routing, hurry)
    haproxy.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + DRAIN_SECONDS + 5
    while haproxy.poll() is None and time.monotonic() < deadline and not hurry():
        time.sleep(0.02)


def _drain_gateway(gateway: subprocess.Popen[bytes], routing: Routing, hurry: Callable[[], bool]) -> None:
    """Before the proxy closes: what came in over gRPC still has to come in through it, over HTTP."""
    deadline = time.monotonic() + GRPC_DRAIN_SECONDS
    with suppress(Unreachable):  # HAProxy died: nothing is in flight
        routing.close_grpc()
        while routing.grpc_in_flight() and time.monotonic() < deadline and not hurry():
            time.sleep(0.05)
    if not hurry():  # those who watch its health would hold HAProxy up
        gateway.terminate()
        with suppress(subprocess.TimeoutExpired):
            gateway.wait(GATEWAY_STOP_SECONDS)
