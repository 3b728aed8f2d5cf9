"""Headless Chromium, and a web site for tests that gives a page its script and receives the results."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
PAGE_SECONDS = 60


def install() -> str:
    """Return the path of Chromium, installed from Debian's packages where it is missing."""
    if (program := shutil.which("chromium")) is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-qq", *arguments], env=environment, check=True, timeout=600)
        program = shutil.which("chromium")
    assert program is not None
    return program


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that the site was sent: the path, the content type and the body."""

    path: str
    content_type: str
    body: bytes


@dataclass
class Site:
    """A web site with one page; `posted` are the requests that the page sent it."""

    origin: str
    page: str = ""
    posted: list[Posted] = field(default_factory=list)
    finished: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web_site(posts: int) -> Iterator[Site]:
    """Serve a page; the site has finished after so many POST requests."""
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(site.page if self.path == "/" else "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.posted.append(Posted(self.path, self.headers["Content-Type"], body))
            self._answer("")
            if len(site.posted) == posts:
                site.finished.set()

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def visit(site: Site) -> list[Posted]:
    """Open the page of a site in Chromium until the site has finished; return the data that was posted to it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [install(), *FLAGS, f"--user-data-dir={profile}", f"{site.origin}/"]
        chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert site.finished.wait(PAGE_SECONDS), f"the page posted {site.posted}"
        finally:
            chromium.terminate()
            chromium.wait(30)
    return site.posted
