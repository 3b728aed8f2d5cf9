"""The front door: HAProxy's configuration and its map of versions, rendered for one launch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / "deploy" / "haproxy" / "haproxy.cfg.template"

_NO_TOKEN = "    http-request del-header Authorization"
_TOKEN = """\
    # Only the token's digest stands here. TorchServe gets its own token, which no client ever sees.
    acl has_token req.hdr(Authorization),sha2(256),hex -m str {digest}
    http-request return status 401 content-type application/json hdr WWW-Authenticate Bearer string \
'{{"code":401,"type":"Unauthorized","message":"send the header Authorization: Bearer <token>"}}' \
unless is_ping or has_token
    http-request set-header Authorization "Bearer {key}"\
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who may ask: `public` is what clients send, `inference` what TorchServe wants behind the door."""

    public: str
    inference: str


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """The settings of one front door. `backend_port` is TorchServe's inference port on loopback."""

    host: str
    port: int
    backend_port: int
    map_file: Path
    socket: Path
    max_request_size: int
    drain_seconds: int
    threads: int = 1
    tokens: Tokens | None = None


def render(door: FrontDoor) -> str:
    """The text of haproxy.cfg."""
    values = {
        "host": f"[{door.host}]" if ":" in door.host else door.host,
        "port": door.port,
        "backend": f"127.0.0.1:{door.backend_port}",
        "map": _escaped(door.map_file),
        "socket": _escaped(door.socket),
        "max_request_size": door.max_request_size,
        "drain_seconds": door.drain_seconds,
        "threads": door.threads,
        "authorisation": _authorisation(door.tokens),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: str(values[match[1]]), TEMPLATE.read_text(encoding="utf-8"))


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(" ", "\\ ")


def _authorisation(tokens: Tokens | None) -> str:
    if tokens is None:
        return _NO_TOKEN
    digest = hashlib.sha256(f"Bearer {tokens.public}".encode()).hexdigest().upper()  # as HAProxy's `hex` writes it
    return _TOKEN.format(digest=digest, key=tokens.inference)
