"""Settings and errors of httpx that both clients share."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLError

import httpx

from torchlight_client import failures
from torchlight_client.errors import TorchlightError

CONNECT_SECONDS = 5.0
MAX_IDLE_CONNECTIONS = 32
# Shorter than the 75 s of Torchlight's proxy and the 60 s of common load balancers: they do not close it in between.
IDLE_SECONDS = 50.0


def limits(max_connections: int | None) -> httpx.Limits:
    """Return the limits of a connection pool; None allows any number of connections at a time."""
    return httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=MAX_IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )


def no_cookies() -> CookieJar:
    """Return a jar that stores no cookie: requests that share a client must not influence each other."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def timeout(seconds: float) -> httpx.Timeout:
    """Return the timeouts of one attempt, which may wait for `seconds` between bytes."""
    return httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds), pool=None)


def failure(error: Exception, server: str, url: str, seconds: float) -> TorchlightError:
    """Return the client's error for one of httpx. `seconds` is the timeout of the attempt."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        tls = _tls_error(error)
        return failures.untrusted(server, tls) if tls else failures.no_server(server)
    if isinstance(error, httpx.TimeoutException):
        return failures.timed_out(url, seconds)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return failures.broken(url)
    return failures.unusable(url, error)


def _tls_error(error: BaseException | None) -> SSLError | None:
    """Return the TLS error that caused `error`. Not its __context__, which may be an error that the caller handles."""
    while error is not None and not isinstance(error, SSLError):
        # httpcore drops the cause of its errors, and has it as their argument.
        causes = (error.__cause__, *error.args)
        error = next((cause for cause in causes if isinstance(cause, BaseException)), None)
    return error
