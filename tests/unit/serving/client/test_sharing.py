"""One client for many at a time, and what its import needs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import serving.client
from serving.client import AsyncClient, Client
from serving.errors import ClientError
from tests.unit.serving.client.server import Say, Server
from tests.unit.serving.client.test_requests import ONE, PNG

ROOT = Path(__file__).resolve().parents[4]
Serve = Callable[..., Server]


def test_threads_share_a_client_and_its_connections(serve: Serve) -> None:
    server = serve(Say(body=ONE))
    with Client(server.url) as client, ThreadPoolExecutor(8) as pool:
        labels = list(pool.map(lambda _: client.predict("pets", PNG).best.label, range(200)))
    assert labels == ["cat"] * 200
    assert len({seen.port for seen in server.seen}) <= 8


def test_tasks_share_a_client_and_its_connections(serve: Serve) -> None:
    server = serve(Say(body=ONE))

    async def ask() -> list[str]:
        async with AsyncClient(server.url) as client:
            for _ in range(5):
                answers = await asyncio.gather(*(client.predict("pets", PNG) for _ in range(20)))
        return [answer.best.label for answer in answers]

    assert asyncio.run(ask()) == ["cat"] * 20
    assert len({seen.port for seen in server.seen}) <= 20


def test_a_task_that_is_canceled_is_canceled(serve: Serve) -> None:
    server = serve(Say(503, {"type": "Overloaded"}, {"Retry-After": "30"}), Say(body=ONE))

    async def ask() -> str:
        async with AsyncClient(server.url) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.predict("pets", PNG), 0.2)
            return (await client.predict("pets", PNG)).best.label

    assert asyncio.run(ask()) == "cat"


def test_a_client_that_was_closed_in_an_error_leaves_nothing_open(serve: Serve) -> None:
    server = serve(Say(404, {"type": "ModelNotFound", "message": "no"}))
    with pytest.raises(ClientError), Client(server.url) as client:
        client.predict("pets", PNG)


def test_the_public_names() -> None:
    assert {name for name in serving.client.__all__ if not hasattr(serving.client, name)} == set()
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        serving.client.Klient  # noqa: B018


def test_the_synchronous_client_needs_no_httpx() -> None:
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "from serving.client import Client\n"
        "Client('http://127.0.0.1:1').close()\n"
        "try:\n    from serving.client import AsyncClient\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "AsyncClient needs httpx: run `python3 scripts/setup.py client`\nFalse\n", done.stderr
