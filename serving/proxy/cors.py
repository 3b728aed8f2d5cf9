"""Cross-origin requests (Fetch Standard, 3.3): which origins may read the answers, and HAProxy's rules for that.

A browser lets a page read answers of its own origin only. Pages of the origins listed here may read all answers, errors
too. Authentication stays a token that the page has to know: no cookie is ever read, so no credentials are allowed.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from serving.errors import ConfigError

ANY = "*"
# Headers that a page may send, beside those that a browser always lets it send. A test compares them with the options.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "X-Request-Id",
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
# Headers of an answer that a page may read, beside Content-Type and the few others that browsers always show.
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
# How long a browser may remember the answer to a preflight; Chromium remembers none for longer.
MAX_AGE_SECONDS = 7200

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]")
_EXAMPLE = "give <scheme>://<host>, with :<port> where it is not the scheme's own, such as https://lab.example"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse(text: str) -> tuple[str, ...]:
    """Return the origins of a list with commas, as browsers write them; none for an empty text.

    Raises:
        ConfigError: an entry is not an origin, or `*` stands beside others.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if ANY in entries and len(entries) > 1:
        raise ConfigError(f"CORS_ORIGINS is {text!r}: * allows every origin, so give it alone")
    return tuple(dict.fromkeys(entry if entry == ANY else _origin(entry) for entry in entries))


def _origin(entry: str) -> str:
    """Return an origin in lower case and without the scheme's default port, as browsers send it (RFC 6454, 6.2).

    Raises:
        ConfigError: it is none; the message says which part is wrong.
    """
    if not entry.isascii() or not entry.isprintable() or re.search(r"[\s\"'\\<>^`{|}]", entry):
        raise _refused(entry, "has characters that no origin has (write other alphabets in Punycode, xn--...)")
    if entry.lower() == "null":
        raise _refused(entry, "is what every sandboxed page and local file sends")
    scheme, separator, rest = entry.lower().partition("://")
    if not separator:
        raise _refused(entry, "has no scheme")
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise _refused(entry, f"has the scheme {scheme!r}")
    if re.search(r"[/?#@]", rest):
        raise _refused(entry, "has a path, query, fragment or user: an origin ends after host and port")
    host = re.sub(r":[0-9]+$", "", rest)
    if not _HOST.fullmatch(host):
        raise _refused(entry, f"has the host {rest!r}")
    try:
        port = urlsplit(f"{scheme}://{rest}").port
    except ValueError:
        raise _refused(entry, "has a port that is not a number from 0 to 65535") from None
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def _refused(entry: str, reason: str) -> ConfigError:
    return ConfigError(f"CORS_ORIGINS has {entry!r}, which {reason}: {_EXAMPLE}")
