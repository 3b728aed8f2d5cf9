"""Errors for each way in which a request can fail, each with its sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torchlight_client.errors import (
    BrokenConnection,
    ErrorResponse,
    InvalidResponse,
    NoServer,
    Rejected,
    ServerFailed,
    TimedOut,
    TlsFailed,
    TorchlightError,
)


def no_server(url: str) -> NoServer:
    """Return the error for a connection that could not be made."""
    return NoServer(f"nothing answers at {url}: check the URL, or start the server there (`torchlight serve`)")


def broken(url: str) -> BrokenConnection:
    """Return the error for a connection that ended before the response was complete."""
    return BrokenConnection(f"{url} closed the connection without a response: see the server's log")


def timed_out(url: str, seconds: float) -> TimedOut:
    """Return the error for a response that was not complete in time."""
    return TimedOut(f"no response from {url} within {seconds:.3g} s: see the server's log, or give a longer timeout")


def untrusted(url: str, error: BaseException) -> TlsFailed:
    """Return the error for a failed TLS handshake or an untrusted certificate."""
    return TlsFailed(
        f"no secure connection to {url} ({error}): check that it uses https and a certificate trusted here"
    )


def unusable(url: str, error: Exception) -> TorchlightError:
    """Return the error for any other failure."""
    return TorchlightError(f"{url}: the request failed: {type(error).__name__}: {error}")


def invalid_response(url: str, reason: str) -> InvalidResponse:
    """Return the error for a response with status 200 that cannot be parsed."""
    return InvalidResponse(f"{url} answered 200 with {reason}: is it a Torchlight server?")


def error_response(status: int, headers: Mapping[str, str], content: bytes, url: str) -> ErrorResponse:
    """Return the error for a response with another status than 200. Header names must be in lower case."""
    retry_after = headers.get("retry-after")
    kind = {4: Rejected, 5: ServerFailed}.get(status // 100, ErrorResponse)
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):  # not from Torchlight, but for example from a load balancer
        message = f"{url} answered {status} with no JSON object: is it a Torchlight server?"
        return kind(message, status, retry_after=retry_after)
    word = str(body.get("type") or "")
    message = f"{status} {word or 'error'}: {body.get('message') or body.get('error') or 'no reason given'}"
    return kind(message, status, word, retry_after)
