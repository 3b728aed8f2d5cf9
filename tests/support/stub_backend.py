"""The real proxy before a fake model server, whose responses and failures a test defines."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from serving.proxy import haproxy, routing, traffic_split
from serving.proxy.haproxy import ProxyConfig, Tokens
from serving.proxy.traffic_split import TrafficSplits
from serving.torchserve import executables
from tests.support.server import free_port

TOKEN = "open-sesame"
# The timeouts of the template, each with the shorter value for tests.
SHORTER = {
    "timeout client 30s": "timeout client 700ms",
    "wait-for-body time 20s": "wait-for-body time 600ms",
    "lua.upload_time 60": "lua.upload_time 1",
    "timeout http-request 10s": "timeout http-request 500ms",
    "timeout server 180s": "timeout server 900ms",
    "timeout queue 30s": "timeout queue 700ms",
}


@dataclass
class Script:
    """Script of the stub model server: its next answers, and the paths and headers that it was asked for.

    `status` 0: hang up; `pause`: seconds before it answers.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)
    asked_headers: list[dict[str, str]] = field(default_factory=list)


@dataclass
class ProxyClient:
    """A proxy that runs, its model server's script, and that server, which may be closed."""

    url: str
    port: int
    script: Script
    backend: ThreadingHTTPServer
    folder: Path

    @property
    def splits(self) -> TrafficSplits:
        """The splits of its traffic."""
        return TrafficSplits(self.folder / traffic_split.FILE_NAME, self.folder / "haproxy.sock")

    def answers(self, status: int, body: str = "{}", **headers: str) -> requests.Response:
        """The proxy's answer to a prediction that the model server answers so."""
        self.script.status, self.script.body, self.script.headers = status, body.encode(), headers
        return requests.post(f"{self.url}/predictions/digits", data=b"an image", timeout=30)


class _Backend(ThreadingHTTPServer):
    """Server that prints nothing when the proxy has closed a connection: tests make it do so."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the errors of the test's own code only."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running_proxy(
    *,
    tokens: bool = False,
    max_connections: int = 1024,
    only_model: str = "digits",
    explain_at_once: int = 0,
    unbatched_map: str = "",
    cors_origins: tuple[str, ...] = (),
    health: str = "",
    versions: str = "digits 1.0\ndigits/1.0 1.0\n",
    splits: str = "",
) -> Iterator[ProxyClient]:
    """Start both, with shorter timeouts, and end them.

    Args:
        unbatched_map: a line of the map of single predictions.
        health: lines of the map of versions that are not ready.
        versions: the map of versions.
        splits: lines of the map of traffic splits.
    """
    script = Script()
    backend = _Backend(("127.0.0.1", 0), _handler(script))
    threading.Thread(target=backend.serve_forever, args=(0.05,), daemon=True).start()
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = ProxyConfig(
            host="127.0.0.1",
            port=port,
            backend_port=backend.server_port,
            gateway_port=port + 3,
            web_port=port + 2,
            metrics_port=port + 8,
            map_file=Path("versions.map"),
            socket=folder / "haproxy.sock",
            max_request_size=8_500_000,
            max_connections=max_connections,
            drain_seconds=1,
            only_model=only_model,
            explain_at_once=explain_at_once,
            tokens=Tokens("inner", TOKEN if tokens else None),
            cors_origins=cors_origins,
        )
        (folder / settings.map_file).write_text(versions, encoding="utf-8")
        (folder / routing.MODELS).write_text(routing.models_text(versions), encoding="utf-8")
        (folder / traffic_split.FILE_NAME).write_text(splits, encoding="utf-8")
        (folder / routing.UNBATCHED).write_text(unbatched_map, encoding="utf-8")
        (folder / routing.HEALTH).write_text(f"heartbeat {int(time.time())}\n{health}", encoding="utf-8")
        text = haproxy.render(settings)
        for long, short in SHORTER.items():
            assert long in text, long
            text = text.replace(long, short)
        config = folder / "haproxy.cfg"
        config.write_text(text, encoding="utf-8")
        command = [executables.haproxy(), "-db", "-f", config]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            proxy = ProxyClient(f"http://127.0.0.1:{port}", port, script, backend, folder)
            _await(proxy.url)
            yield proxy
        finally:
            process.kill()
            process.wait()
            backend.shutdown()
            backend.server_close()


def _await(url: str) -> None:
    for _ in range(100):
        try:
            requests.get(f"{url}/v2/health/live", timeout=1)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the proxy did not come up")


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append(self.path)
            script.asked_headers.append(dict(self.headers))
            time.sleep(script.pause)
            if script.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(script.status)
            for name, value in {"Content-Length": str(len(script.body)), **script.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(script.body)

        def log_message(self, *arguments: object) -> None:
            """Quietly."""

    return Handler
