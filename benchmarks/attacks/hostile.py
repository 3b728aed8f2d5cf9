"""Requests that two HTTP/1.1 parsers could parse differently (request smuggling: RFC 9112, 11.2).

Each carries an inner request in its body, or where a lenient parser would look for the next request. A proxy and a
server that agree respond once, or refuse it. The inner request must not get a response.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

# Id of the inner requests. No response may have it.
MARK = "smuggled"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
PATHS = (
    "/ping",
    "/predictions/{model}",
    "/explanations/{model}/1.0",
    "/v1/models/{model}",
    "/v1/models/{model}:predict",
    "/v2/models/{model}/infer",
    "/v2/models/{model}",
    "/v2/health/ready",
    "/v2/health/live",
    "/invocations",
    "/openapi.json",
    "/nothing",
    "http://torchserve/predictions/{model}",
)
# Framing of the body. {n} is its length. Bodies of CODINGS are sent in chunks.
LENGTHS = (
    "Content-Length: {n}",
    "content-length:{n}",
    "Content-Length: 0{n}",
    "Content-Length: +{n}",
    "Content-Length: {n}, {n}",
    "Content-Length: {n}\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: {n}",
    "Content-Length : {n}",
    "Content-Length: {n}\r\n Folded: 1",
    "Content-Length: {n}\x0b",
    "Content-Length: 0x{n:x}",
    "Content-Length: -{n}",
    "Content-Length:\r\n {n}",
    "Connection: Content-Length\r\nContent-Length: {n}",
)
CODINGS = (
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunked\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nTransfer-Encoding: chunked",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    'Transfer-Encoding: chunked;q="1"',
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: \x0bchunked",
    "Transfer_Encoding: chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    "TE: trailers\r\nTrailer: X-Last\r\nTransfer-Encoding: chunked",
)
# Other headers that could make a parser start again, switch the protocol, or misread the request.
EXTRAS = (
    "",
    "Expect: y",
    "Expect: 100-continue",
    "expect: 100-CONTINUE",
    "Expect: 100-continue, y",
    "Expect: y\r\nExpect: 100-continue",
    "Expect: 100-continue\r\nExpect: y",
    "Expect:\r\n y",
    "Expect: 200-ok",
    "Connection: Expect\r\nExpect: y",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13",
    "Connection: keep-alive, Host",
    "Connection: X-Request-Id",
    "Connection: close",
    "Keep-Alive: timeout=1, max=1",
    "Proxy-Connection: keep-alive",
    "TE: gzip, trailers;q=1",
    "explain: True",
    "describe: True",
    "X-HTTP-Method-Override: DELETE",
    "X-Torchlight-Query: top_k=1",
    "Content-Encoding: gzip",
    "Range: bytes=0-",
    "Authorization: Bearer guess",
)
TRAILERS = ("", "X-Last: 1\r\n", "Content-Length: 50\r\n", "explain: True\r\n", "Transfer-Encoding: chunked\r\n")
INNER = (
    "POST /predictions/{model}/1.0 HTTP/1.1\r\nHost: x\r\nX-Request-Id: {mark}\r\nContent-Length: {length}\r\n\r\n",
    "POST /explanations/{model}/1.0 HTTP/1.1\r\nHost: x\r\nX-Request-Id: {mark}\r\nContent-Length: {length}\r\n\r\n",
    "POST /predictions/{model}/1.0 HTTP/1.1\r\nX-Request-Id: {mark}\r\nX-Ignore: ",
    "GET /models HTTP/1.1\r\nHost: x\r\nX-Request-Id: {mark}\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nX-Request-Id: {mark}\r\nX-Ignore: ",
    "GET /ping HTTP/1.1\r\nX-Request-Id: {mark}\r\n\r\n",
)


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """A request. `data` is sent at once. `description` is shown in a violation."""

    method: str
    description: str
    data: bytes


def generate(count: int, seed: int, model: str, image: bytes, token: str | None = None) -> Iterator[HostileRequest]:
    """Yield `count` requests. The same seed gives the same requests.

    Args:
        count: number of requests.
        seed: of the random numbers.
        model: name of the served model.
        image: image in the inner requests.
        token: bearer token of the outer requests, if any.
    """
    rng = random.Random(seed)
    for _ in range(count):
        method = "POST" if rng.random() < 0.5 else rng.choice(METHODS)
        path = rng.choice(PATHS).format(model=model)
        version = "1.0" if rng.random() < 0.1 else "1.1"
        extra = rng.choice(EXTRAS)
        inner = rng.choice(INNER).format(model=model, mark=MARK, length=len(image)).encode()
        inner += image if inner.endswith(b"\r\n\r\n") else b""
        chunked = rng.random() < 0.4
        framings = CODINGS if chunked else LENGTHS
        framing = (framings[0] if rng.random() < 0.4 else rng.choice(framings)).format(n=len(inner))
        lines = [f"{method} {path} HTTP/{version}", "Host: torchserve", "X-Request-Id: outer"]
        lines += [f"Authorization: Bearer {token}"] if token and "Authorization" not in extra else []
        lines += [extra] if extra else []
        shuffled = [framing, *lines[1:]] if rng.random() < 0.5 else [*lines[1:], framing]
        head = "\r\n".join([lines[0], *shuffled]) + "\r\n\r\n"
        body = _chunks(inner, rng) if chunked else inner
        yield HostileRequest(method, " | ".join([lines[0], framing, extra]), head.encode("latin-1") + body)


def _chunks(inner: bytes, rng: random.Random) -> bytes:
    """Frame a body as one chunk, with or without an extension (RFC 9112, 7.1.1) and trailer fields."""
    extension = rng.choice(("", ";a=b", ';a="\\\r"', ";" + "x" * 300, " "))
    return f"{len(inner):x}{extension}\r\n".encode() + inner + f"\r\n0\r\n{rng.choice(TRAILERS)}\r\n".encode()
