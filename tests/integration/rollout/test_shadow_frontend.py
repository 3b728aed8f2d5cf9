"""The proxy's private socket for copies of requests, and its own metrics, before a fake model server."""

from __future__ import annotations

import http.client
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from serving.proxy import haproxy
from serving.proxy.arm_counts import ArmCounts
from serving.proxy.traffic_split import Split
from tests.support.stub_backend import ProxyClient, running_proxy

PATH = "/predictions/digits-explain/2.0"


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    """A proxy with two versions, whose traffic is split."""
    with running_proxy(versions="digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n") as running:
        running.splits.set("digits", Split("2.0", 0.5))
        yield running


class Connection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("copy")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def copy(proxy: ProxyClient, **headers: str) -> int:
    connection = Connection(proxy.folder / haproxy.SHADOW_SOCKET)
    connection.request("POST", PATH, b"an image", headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_copy_reaches_the_model_server_with_its_token_and_without_marks_of_the_proxy(proxy: ProxyClient) -> None:
    marks = {
        "X-Torchlight-Start": "1",
        "X-Torchlight-Movable": "1",
        "X-Torchlight-Heavy": PATH,
        "X-Torchlight-Deadline": "5",
    }
    options = {"X-Torchlight-Query": "top_k=1", "X-Torchlight-Route": "v1", "X-Request-Id": "mine", "X-Top-K": "2"}
    assert copy(proxy, **marks, **options) == 200
    assert proxy.script.asked == [PATH]
    sent = {name.title(): value for name, value in proxy.script.asked_headers[0].items()}
    assert sent["Authorization"] == "Bearer inner"
    assert options.items() <= sent.items()
    assert not marks.keys() & sent.keys()


def test_copies_count_nowhere(proxy: ProxyClient) -> None:
    for _ in range(5):
        copy(proxy)
    assert proxy.splits.counts("digits", "1.0") == proxy.splits.counts("digits", "2.0") == ArmCounts()


def test_few_copies_are_answered_at_once(proxy: ProxyClient) -> None:
    proxy.script.pause = 0.3
    copies = [threading.Thread(target=copy, args=(proxy,)) for _ in range(haproxy.SHADOW_AT_ONCE + 2)]
    for thread in copies:
        thread.start()
    threading.Event().wait(0.25)
    assert len(proxy.script.asked) == haproxy.SHADOW_AT_ONCE
    for thread in copies:
        thread.join()
    assert len(proxy.script.asked) == len(copies)


def test_only_this_user_can_open_the_socket(proxy: ProxyClient) -> None:
    assert stat.S_IMODE((proxy.folder / haproxy.SHADOW_SOCKET).stat().st_mode) == 0o600


def test_haproxys_own_metrics_are_on_a_port_of_loopback(proxy: ProxyClient) -> None:
    assert requests.get(f"{proxy.url}/nothing", timeout=30).status_code == 404
    url = f"http://127.0.0.1:{proxy.port + 8}"
    text = requests.get(f"{url}/metrics", timeout=30).text
    assert 'haproxy_frontend_http_responses_total{proxy="proxy",code="4xx"} 1\n' in text
    assert requests.get(url, timeout=30).status_code == 404
    assert requests.post(f"{url}/metrics", timeout=30).status_code == 404
    assert requests.get(f"{proxy.url}/metrics", timeout=30).status_code == 404
