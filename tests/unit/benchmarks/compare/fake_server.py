"""A fake server in this process. The body of a request is the class of its image."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.compare.systems import Request


@contextmanager
def serving(respond: Callable[[bytes], tuple[int, int]], seconds: float = 0.0) -> Iterator[str]:
    """Serve on loopback; the context is the URL. Requests are served one at a time.

    Args:
        respond: returns status and class for a body.
        seconds: time that each request takes.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                time.sleep(seconds)
                status, index = respond(body)
            content = json.dumps({"predictions": [{"index": index, "probability": 0.5 + index / 100}]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def image_request(image: bytes) -> Request:
    return Request("/predictions/digits", {"Content-Type": "image/png"}, image)


def correct_response(body: bytes) -> tuple[int, int]:
    return 200, int(body)
