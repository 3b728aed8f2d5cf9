from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.artifacts.store import Archive
from serving.rollout import state
from serving.runtime.instance import Ports
from serving.server.launch_options import Launch, welcome


def message(**settings: Any) -> str:
    archives = [Archive(Path("digits-2.0.mar"), "digits", "2.0")]
    return welcome(Launch(archives=archives, state=state.from_archives(archives), **settings), Ports(8080))


def test_it_says_where_to_ask_and_how_to_stop() -> None:
    text = message()
    assert "POST http://127.0.0.1:8080/predictions/digits" in text
    assert "POST http://127.0.0.1:8080/explanations/digits" in text
    assert "curl -T samples/3.png http://127.0.0.1:8080/predictions/digits" in text
    assert "make stop PORT=8080" in text
    assert "WARNING" not in text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_the_url_can_be_pasted_whatever_the_host(host: str, url: str) -> None:
    assert f"serving at {url}\n" in message(host=host, production=True)


def test_an_open_server_without_a_token_is_warned_of() -> None:
    assert "WARNING: HOST=0.0.0.0 lets anybody who reaches this machine use it" in message(host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_server_for_this_machine_alone_is_not_warned_of(host: str) -> None:
    assert "WARNING" not in message(host=host)


def test_in_production_the_token_is_named_by_its_file_and_nothing_is_warned_of() -> None:
    text = message(host="0.0.0.0", production=True, token="a-secret")
    assert '-H "Authorization: Bearer $(cat .run/8080/token)"' in text
    assert "a-secret" not in text
    assert "WARNING" not in text


def test_without_the_front_proxy_it_says_what_is_missing() -> None:
    assert "no proxy: no default versions, query options" in message(proxy=False)


def test_inside_a_container_nothing_is_said_of_what_only_the_outside_knows() -> None:
    assert message(host="0.0.0.0", container=True) == "serving on port 8080 of the container"
