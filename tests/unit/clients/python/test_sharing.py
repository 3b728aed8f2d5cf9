"""One client for many requests at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.clients.python.server import Say, Server
from tests.unit.clients.python.test_requests import ONE, PNG
from torchlight_client import AsyncClient, Client, TorchlightError

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
    with pytest.raises(TorchlightError), Client(server.url) as client:
        client.predict("pets", PNG)
