"""How the supervisor starts the gateway: its command line and its environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from serving.runtime.instance import http_url

ROOT = Path(__file__).resolve().parents[2]


def command(port: int, host: str, proxy_port: int, max_request_size: str, grace_seconds: int) -> list[str]:
    """The gateway's command line; `host` and `proxy_port` are where the proxy listens."""
    proxy = http_url(host, proxy_port)
    flags = {"--port": port, "--proxy": proxy, "--max-request-size": max_request_size, "--grace": grace_seconds}
    return [sys.executable, "-m", "serving.grpc.gateway", *(str(word) for flag in flags.items() for word in flag)]


def environment() -> dict[str, str]:
    """Where our code is, and an allocator that gives back what large messages took.

    With its defaults glibc keeps much of what many large calls at once have taken.
    """
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
