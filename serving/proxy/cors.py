"""Cross-origin requests (Fetch Standard, 3.3): origins whose pages may read responses, and the headers they may use.

A browser lets a page read responses of its own origin only. Pages of the configured origins may read all responses,
also errors. They authenticate with the token. A cookie only keeps a client with one version during a rollout, so
credentials are not allowed. The rules are in deploy/haproxy/cors.cfg.jinja.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from serving.errors import ConfigError

ANY = "*"
# Headers that a page may send, in addition to those that browsers always allow. A test compares them with the options.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "X-Request-Id",
    "X-Model-Version",
    "X-Client-Id",
    "Inference-Header-Content-Length",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
    "X-Top-K",
    "X-Timing",
    "X-Target",
    "X-Contrast",
    "X-Explain-Method",
    "X-Explain-Steps",
    "X-Explain-Baseline",
    "X-Explain-Smoothgrad-Samples",
    "X-Explain-Deadline",
    "X-Explain-Faithfulness",
    "X-Explain-Counterfactual",
    "X-Explain-Neighbors",
    "X-Explain-Output",
    "X-Explain-Sign",
    "X-Explain-Alpha",
    "X-Explain-Colormap",
    "X-Explain-Resolution",
)
# Headers of a response that a page may read, in addition to Content-Type and others that browsers always allow.
RESPONSE_HEADERS = (
    "X-Request-Id",
    "X-Model-Version",
    "X-Model-Engine",
    "Server-Timing",
    "Retry-After",
    "Inference-Header-Content-Length",
    "X-Amzn-Invoked-Production-Variant",
    "Allow",
    "Link",
    "WWW-Authenticate",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
# How long a browser may cache the response to a preflight. Chromium caches none for longer.
MAX_AGE_SECONDS = 7200

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]")
_EXAMPLE = "give <scheme>://<host>, and :<port> unless it is the scheme's default, such as https://lab.example"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse(text: str) -> tuple[str, ...]:
    """Return the origins of a comma-separated list, as browsers write them. An empty text has no origins.

    Raises:
        ConfigError: an entry is not an origin, or `*` is not the only entry.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if ANY in entries and len(entries) > 1:
        raise ConfigError(f"CORS_ORIGINS is {text!r}: * allows every origin, so give it alone")
    return tuple(dict.fromkeys(entry if entry == ANY else _origin(entry) for entry in entries))


def _origin(entry: str) -> str:
    """Return an origin in lower case and without the scheme's default port, as browsers send it (RFC 6454, 6.2).

    Raises:
        ConfigError: the entry is not an origin. The message names the wrong part.
    """
    if not entry.isascii() or not entry.isprintable() or re.search(r"[\s\"'\\<>^`{|}]", entry):
        raise _error(entry, "has characters that no origin has (write other alphabets in Punycode, xn--...)")
    if entry.lower() == "null":
        raise _error(entry, "is what every sandboxed page and local file sends")
    scheme, separator, authority = entry.lower().partition("://")
    if not separator:
        raise _error(entry, "has no scheme")
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise _error(entry, f"has the scheme {scheme!r}")
    if re.search(r"[/?#@]", authority):
        raise _error(entry, "has a path, query, fragment or user: an origin ends after host and port")
    host = re.sub(r":[0-9]+$", "", authority)
    if not _HOST.fullmatch(host):
        raise _error(entry, f"has the host {authority!r}")
    try:
        port = urlsplit(f"{scheme}://{authority}").port
    except ValueError:
        raise _error(entry, "has a port that is not a number from 0 to 65535") from None
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def _error(entry: str, reason: str) -> ConfigError:
    return ConfigError(f"CORS_ORIGINS has {entry!r}, which {reason}: {_EXAMPLE}")
