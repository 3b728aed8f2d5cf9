"""Both clients through the same tests, each against a real HTTP server that says what the test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.clients.python.server import CLIENTS, Server, Step
from torchlight_client import asynchronous, sync

Make = Callable[..., Any]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server with these steps; it is closed after the clients of the test."""
    servers: list[Server] = []

    def start(*steps: Step, port: int = 0) -> Server:
        servers.append(Server(*steps, port=port))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest, serve: object) -> Iterator[Make]:
    """Make a client, of either kind; it is closed at the end."""
    clients: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        clients.append(CLIENTS[request.param](*args, **kwargs))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the clients would have made, in seconds; none is made."""
    requested: list[float] = []

    async def sleep(seconds: float) -> None:
        requested.append(seconds)

    monkeypatch.setattr(sync, "sleep", requested.append)
    monkeypatch.setattr(asynchronous, "sleep", sleep)
    return requested
