"""Errors for each way in which a request can fail, each with its sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from serving.errors import BrokenConnection, ClientError, ErrorResponse, NoServer, Rejected, ServerFailed, TimedOut


def no_server(url: str) -> NoServer:
    """Return the error for a connection that could not be made."""
    return NoServer(f"nothing answers at {url}: start a server with `make serve`")


def broken(url: str) -> BrokenConnection:
    """Return the error for a connection that ended before the response was complete."""
    return BrokenConnection(f"{url} closed the connection without a response: see the server's log")


def timed_out(url: str, seconds: float) -> TimedOut:
    """Return the error for a response that was not complete in time."""
    return TimedOut(f"no response from {url} within {seconds:.3g} s: see the server's log, or give a longer timeout")


def untrusted(url: str, error: BaseException) -> ClientError:
    """Return the error for a failed TLS handshake or an untrusted certificate."""
    return ClientError(
        f"no secure connection to {url} ({error}): check that it uses https and a certificate trusted here"
    )


def unusable(url: str, error: Exception) -> ClientError:
    """Return the error for any other failure."""
    return ClientError(f"{url}: the request failed: {type(error).__name__}: {error}")


def no_json(url: str, status: int, retry_after: str | None = None) -> ErrorResponse:
    """Return the error for a response that is not from Torchlight, but for example from a load balancer."""
    message = f"{url} answered {status} with no JSON object: is it a Torchlight server?"
    return _of_status(status)(message, status, retry_after=retry_after)


def from_response(status: int, headers: Mapping[str, str], content: bytes, url: str) -> ErrorResponse:
    """Return the error for a response with another status than 200. Header names must be in lower case."""
    retry_after = headers.get("retry-after")
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return no_json(url, status, retry_after)
    word = str(body.get("type") or "")
    message = f"{status} {word or 'error'}: {body.get('message') or body.get('error') or 'no reason given'}"
    return _of_status(status)(message, status, word, retry_after)


def within(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it wraps; not its __context__, which may be an error that the caller handles."""
    while error is not None:
        yield error
        wrapped = [getattr(error, "reason", None), *error.args, error.__cause__]
        error = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)


def _of_status(status: int) -> type[ErrorResponse]:
    return {4: Rejected, 5: ServerFailed}.get(status // 100, ErrorResponse)
