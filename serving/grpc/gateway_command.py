"""Command line and environment with which the supervisor starts the gateway."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from serving.runtime.instance import http_url

ROOT = Path(__file__).resolve().parents[2]


def command(port: int, host: str, proxy_port: int, max_request_size: str, grace_seconds: int) -> list[str]:
    """Return the gateway's command line; the proxy listens on `host` and `proxy_port`."""
    proxy = http_url(host, proxy_port)
    flags = {"--port": port, "--proxy": proxy, "--max-request-size": max_request_size, "--grace": grace_seconds}
    return [sys.executable, "-m", "serving.grpc.gateway", *(str(word) for flag in flags.items() for word in flag)]


def environment() -> dict[str, str]:
    """Return an environment with our code on the path, and with an allocator that returns memory to the system.

    With its defaults, glibc keeps much of the memory of many large calls at once.
    """
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
