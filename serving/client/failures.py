"""The sentence, and the kind of error, for each way in which a request can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from serving.errors import BrokenConnection, ClientError, ErrorAnswer, NoServer, Rejected, ServerFailed, TimedOut


def no_server(url: str) -> NoServer:
    """No connection came about."""
    return NoServer(f"nothing answers at {url}: start a server with `make serve`")


def broken(url: str) -> BrokenConnection:
    """The connection ended before a whole answer had come."""
    return BrokenConnection(f"{url} ended the connection without an answer: is it stopping? see the server's log")


def timed_out(url: str, seconds: float) -> TimedOut:
    """No whole answer in time."""
    return TimedOut(f"no answer from {url} within {seconds:.3g} s: see the server's log, or allow it more time")


def untrusted(url: str, error: BaseException) -> ClientError:
    """TLS could not be agreed upon, or the certificate is not one that is trusted here."""
    return ClientError(f"no secure connection to {url} ({error}): is it https, and its certificate trusted here?")


def unusable(url: str, error: Exception) -> ClientError:
    """Anything else."""
    return ClientError(f"{url} cannot be asked: {type(error).__name__}: {error}")


def no_json(url: str, status: int, retry_after: str | None = None) -> ErrorAnswer:
    """Something else than a Torchlight server answers; or something before it, such as a load balancer."""
    message = f"{url} answered {status} with no JSON object: is it a Torchlight server?"
    return _of_status(status)(message, status, retry_after=retry_after)


def of_answer(status: int, headers: Mapping[str, str], content: bytes, url: str) -> ErrorAnswer:
    """The error that an answer other than 200 is. Header names must be in lower case."""
    retry_after = headers.get("retry-after")
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return no_json(url, status, retry_after)
    word = str(body.get("type") or "")
    message = f"{status} {word or 'error'}: {body.get('message') or body.get('error') or 'it does not say why'}"
    return _of_status(status)(message, status, word, retry_after)


def within(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it wraps. Not its __context__: that could be an error of the caller's, being handled."""
    while error is not None:
        yield error
        wrapped = [getattr(error, "reason", None), *error.args, error.__cause__]
        error = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)


def _of_status(status: int) -> type[ErrorAnswer]:
    return {4: Rejected, 5: ServerFailed}.get(status // 100, ErrorAnswer)
