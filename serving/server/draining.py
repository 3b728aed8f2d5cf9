"""Draining: a run ends without losing a request. gRPC calls finish first, then all requests of the proxy."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from serving.errors import Unreachable
from serving.proxy.routing import Routing

# Time limit for requests in flight: HAProxy's hard-stop-after.
DRAIN_SECONDS = 60
GRPC_DRAIN_SECONDS = 15
GATEWAY_STOP_SECONDS = 3


def drain(
    haproxy: subprocess.Popen[bytes], gateway: subprocess.Popen[bytes], routing: Routing, hurry: Callable[[], bool]
) -> None:
    """Let both accept nothing new, and wait until they have answered everything in flight. `hurry` ends the wait."""
    _drain_gateway(gateway, routing, hurry)
    haproxy.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + DRAIN_SECONDS + 5
    while haproxy.poll() is None and time.monotonic() < deadline and not hurry():
        time.sleep(0.02)


def _drain_gateway(gateway: subprocess.Popen[bytes], routing: Routing, hurry: Callable[[], bool]) -> None:
    """Drain the gateway while the proxy is open: the gateway sends its calls through the proxy, over HTTP."""
    deadline = time.monotonic() + GRPC_DRAIN_SECONDS
    with suppress(Unreachable):  # HAProxy died: nothing is in flight
        routing.close_grpc()
        while routing.grpc_in_flight() and time.monotonic() < deadline and not hurry():
            time.sleep(0.05)
    if not hurry():  # health watches would keep HAProxy from ending
        gateway.terminate()
        with suppress(subprocess.TimeoutExpired):
            gateway.wait(GATEWAY_STOP_SECONDS)
