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


def test_message_has_urls_and_the_stop_command() -> None:
    text = message()
    assert "POST http://127.0.0.1:8080/predictions/digits" in text
    assert "POST http://127.0.0.1:8080/explanations/digits" in text
    assert "curl -T samples/3.png http://127.0.0.1:8080/predictions/digits" in text
    assert "torchlight stop --port 8080" in text
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
def test_message_has_a_url_that_works_for_any_host(host: str, url: str) -> None:
    assert f"serving at {url}\n" in message(host=host, production=True)


def test_message_warns_of_an_open_server_without_a_token() -> None:
    assert "WARNING: --host=0.0.0.0 lets anybody who reaches this machine use it" in message(host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_message_does_not_warn_of_a_server_on_loopback(host: str) -> None:
    assert "WARNING" not in message(host=host)


def test_message_in_production_names_the_token_file_without_a_warning() -> None:
    text = message(host="0.0.0.0", production=True, token="a-secret")
    assert '-H "Authorization: Bearer $(cat .run/8080/token)"' in text
    assert "a-secret" not in text
    assert "WARNING" not in text


def test_message_without_the_proxy_lists_what_is_missing() -> None:
    assert "no proxy: no default versions, query options" in message(proxy=False)


def test_message_inside_a_container_has_only_its_port() -> None:
    assert message(host="0.0.0.0", container=True) == "serving on port 8080 of the container"
