"""Every row of docs/reference/http.md, by its key; tests/unit/test_docs.py sees to it that none is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.contract import ROWS, Ask
from tests.support.server import Server
from tests.support.stub_backend import ProxyClient, running_proxy


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    """A proxy whose model server does what the test says."""
    with running_proxy() as running:
        yield running


@pytest.mark.parametrize("key", ROWS)
def test_row(key: str, server: Server, digit: dict[str, bytes], request: pytest.FixtureRequest) -> None:
    ROWS[key](Ask(server, digit, request.getfixturevalue))
