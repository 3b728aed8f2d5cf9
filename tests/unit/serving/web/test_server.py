"""The web process over HTTP, with a TorchServe and a proxy that answer, hang or are not there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from serving.errors import Unreachable
from serving.exporter import collector, torchserve
from serving.exporter.collector import Sources
from serving.proxy.routing import Routing
from serving.runtime.instance import Instance, Ports
from serving.torchserve.management import Management, Version, Worker
from serving.web.documents import OPENAPI
from serving.web.server import Handler, Server, application

TEXT = 'torchlight_requests_total{model_name="digits",model_version="1.0",kind="predict",Hostname="host",} 3.0\n'
STATISTICS = [
    {"pxname": "proxy", "svname": "FRONTEND", "scur": "7", "slim": "2048", "qcur": "", "status": "OPEN"}
    | {f"hrsp_{status}": "0" for status in ("1xx", "3xx", "5xx")}
    | {"hrsp_2xx": "40", "hrsp_4xx": "2"},
    {"pxname": "in_flight", "svname": "BACKEND", "qcur": "0"},
    {"pxname": "explanations", "svname": "torchserve", "qcur": "0"},
    {"pxname": "explanations", "svname": "BACKEND", "qcur": "5"},
]


@contextmanager
def serving(sources: Sources) -> Iterator[str]:
    """The URL of a web process, in a thread of this one."""
    with make_server("127.0.0.1", 0, application(sources), Server, Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    instance = Instance(Ports(8080), tmp_path)
    instance.folder.mkdir()
    (instance.folder / "versions.map").write_text("digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n", encoding="utf-8")
    return Sources(instance, tmp_path / "haproxy.sock", 1_000_000.5)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TorchServe and a proxy that answer."""
    worker = Worker("9000", "READY", 1, False, "")
    version = Version("digits-unbatched", "1.0", "digits-1.0.mar", 2, (worker,), 0, 100)
    monkeypatch.setattr(torchserve, "fetch", lambda port, timeout: TEXT)
    monkeypatch.setattr(Management, "models", lambda self: {"digits-unbatched": "digits-1.0.mar"})
    monkeypatch.setattr(Management, "describe", lambda self, model: [version])
    monkeypatch.setattr(Routing, "statistics", lambda self: STATISTICS)
    monkeypatch.setattr(Routing, "all_in_flight", lambda self: {"digits/1.0": 4})


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and label values."""
    values = {}
    for family in prometheus(text):
        for sample in family.samples:
            values[sample.name, *sample.labels.values()] = sample.value
    return values


@pytest.mark.usefixtures("answering")
def test_a_scrape_has_what_each_source_says(sources: Sources) -> None:
    with serving(sources) as url:
        scraped = samples(requests.get(f"{url}/metrics", timeout=5).text)
    assert scraped["torchlight_up",] == scraped["torchlight_proxy_up",] == 1
    assert scraped["torchlight_start_time_seconds",] == 1_000_000.5
    assert scraped["torchlight_requests_total", "predict", "digits", "1.0"] == 3
    assert scraped["torchlight_workers_ready", "digits", "1.0", "unbatched"] == 1
    assert scraped["torchlight_workers_configured", "digits", "1.0", "unbatched"] == 2
    assert scraped["torchlight_in_flight_requests", "digits", "1.0"] == 4
    assert scraped["torchlight_in_flight_requests", "digits", "2.0"] == 0
    assert {key[1]: value for key, value in scraped.items() if key[0] == "torchlight_queued_requests"} == {
        "explanations": 5
    }
    assert (scraped["torchlight_proxy_responses_total", "2xx"], scraped["torchlight_proxy_connections",]) == (40, 7)


@pytest.mark.usefixtures("answering")
def test_the_format_follows_the_accept_header(sources: Sources) -> None:
    with serving(sources) as url:
        plain = requests.get(f"{url}/metrics", timeout=5)
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        modern = requests.get(f"{url}/metrics", headers=accept, timeout=5)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.text.endswith("# EOF\n")
    assert {family.name for family in openmetrics(modern.text)} >= {"torchlight_requests", "torchlight_queue_seconds"}


@pytest.mark.usefixtures("answering")
def test_head_answers_the_headers_of_get(sources: Sources) -> None:
    with serving(sources) as url:
        get, head = requests.get(f"{url}/metrics", timeout=5), requests.head(f"{url}/metrics", timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *((method, path, 404) for method in ("GET", "HEAD") for path in ("/", "/favicon.ico", "/metrics/x", "/models")),
        *((method, "/metrics", 405) for method in ("POST", "PUT", "DELETE", "OPTIONS")),
        ("POST", "/openapi.json", 405),
    ],
)
def test_other_paths_and_methods_are_refused(sources: Sources, method: str, path: str, status: int) -> None:
    with serving(sources) as url:
        answer = requests.request(method, url + path, timeout=5)
    assert answer.status_code == status
    assert answer.headers.get("Allow") == ("GET, HEAD" if status == 405 else None)


def test_documents_are_answered_while_no_source_is_there(sources: Sources) -> None:
    with serving(sources) as url:
        answer = requests.get(f"{url}/openapi.json", timeout=5)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == OPENAPI.read_bytes()


def test_sources_that_are_not_there_are_down_and_the_rest_is_answered(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(port: int, timeout: float) -> str:
        raise Unreachable("no answer")

    monkeypatch.setattr(torchserve, "fetch", refuse)
    with serving(sources) as url:
        scraped = samples(requests.get(f"{url}/metrics", timeout=5).text)
    assert scraped == {
        ("torchlight_build_info", collector.VERSION): 1,
        ("torchlight_start_time_seconds",): 1_000_000.5,
        ("torchlight_up",): 0,
        ("torchlight_proxy_up",): 0,
    }


@pytest.mark.usefixtures("answering")
def test_a_server_without_a_proxy_says_nothing_of_one(sources: Sources) -> None:
    with serving(Sources(sources.instance, None, 0.0)) as url:
        text = requests.get(f"{url}/metrics", timeout=5).text
        assert requests.get(f"{url}/openapi.json", timeout=5).status_code == 404
    assert "torchlight_requests_total" in text
    assert "torchlight_proxy" not in text


def test_torchserve_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(Unreachable, match="ReadTimeout"):
            torchserve.fetch(silent.getsockname()[1], 0.2)
        assert time.monotonic() - start < 2


def test_torchserve_that_fails_is_no_answer() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as failing:  # 501 to every method
        threading.Thread(target=failing.handle_request, daemon=True).start()
        with pytest.raises(Unreachable, match="HTTPError"):
            torchserve.fetch(failing.server_port, 5)
