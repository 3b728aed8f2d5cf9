"""Documents that clients read, such as the API description: compressed once, with strong ETags (RFC 9110)."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serving.web.wsgi import Application, Environment, StartResponse

ROOT = Path(__file__).resolve().parents[2]
OPENAPI = ROOT / "deploy" / "openapi.json"

# Caches may store a document, and must ask whether it is current before each use. The answer is a short 304.
CACHE_CONTROL = "no-cache"
_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*")


@dataclass(frozen=True, slots=True)
class Representation:
    """The bytes of a document in one content coding.

    Attributes:
        encoding: value of Content-Encoding; empty for the document as it is.
        etag: strong entity tag. Codings have different tags, because their bytes differ (RFC 9110, 8.8.3.3).
    """

    content: bytes
    encoding: str
    etag: str

    @classmethod
    def of(cls, content: bytes, encoding: str = "") -> Representation:
        """Return the representation with these bytes. Their digest is its tag."""
        return cls(content, encoding, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def application(content: bytes, content_type: str) -> Application:
    """Return the application that answers GET with a document, or with 304 if the client has it already."""
    plain = Representation.of(content)
    compressed = Representation.of(gzip.compress(content, mtime=0), "gzip")

    def answer(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        chosen = compressed if accepts_gzip(environment.get("HTTP_ACCEPT_ENCODING", "")) else plain
        headers = [
            ("Cache-Control", CACHE_CONTROL),
            ("ETag", chosen.etag),
            ("Vary", "Accept-Encoding"),
            # A 304 has the length of the 200 in its place (RFC 9110, 8.6).
            ("Content-Length", str(len(chosen.content))),
        ]
        if names_tag(environment.get("HTTP_IF_NONE_MATCH", ""), chosen.etag):
            start_response("304 Not Modified", headers)
            return []
        if chosen.encoding:
            headers.append(("Content-Encoding", chosen.encoding))
        start_response("200 OK", [("Content-Type", content_type), *headers])
        return [chosen.content]

    return answer


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip, and does not prefer `identity` (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, parameter = item.partition(";")
        weight = _WEIGHT.fullmatch(parameter)
        weights[coding.strip()] = float(weight[1]) if weight else float(not parameter)
    preference = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return preference > 0 and preference >= weights.get("identity", 0.0)


def names_tag(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match header names a tag. Weak tags count too (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in re.findall(r'"[^"]*"', if_none_match)
