"""Errors of the client. Each message is one sentence that ends in what to do.

TorchlightError
├── InvalidArgument     the URL, the token, a setting or an image is invalid; nothing was sent (also a ValueError)
├── NoServer            no connection: refused, unknown host, or too slow
├── TlsFailed           no secure connection: the server has no TLS, or its certificate is not trusted
├── BrokenConnection    the connection ended before the response was complete
├── TimedOut            the response was not complete in time
├── InvalidResponse     the response is not that of a Torchlight server
└── ErrorResponse       an error response; carries status, type and Retry-After
    ├── Rejected            4xx: the request is wrong
    └── ServerFailed        5xx: the server failed
"""

from __future__ import annotations


class TorchlightError(Exception):
    """The server could not be asked, or answered with an error."""


class InvalidArgument(TorchlightError, ValueError):
    """The URL, the token, a setting or an image is invalid. Nothing was sent."""


class NoServer(TorchlightError):
    """No connection was made: it was refused, the host is unknown, or it took too long. Nothing was sent."""


class TlsFailed(TorchlightError):
    """No secure connection was made: the server has no TLS, or its certificate is not trusted. Nothing was sent."""


class BrokenConnection(TorchlightError):
    """The connection ended before the response was complete."""


class TimedOut(TorchlightError):
    """The response was not complete in time. The server may still be busy with the request."""


class InvalidResponse(TorchlightError):
    """The response is not that of a Torchlight server."""


class ErrorResponse(TorchlightError):
    """An error response.

    Attributes:
        message: the sentence of the error.
        status: the HTTP status.
        type: the error type, such as UnsupportedImage. It is empty if the response is not from Torchlight.
        retry_after: the value of the header Retry-After.
    """

    def __init__(self, message: str, status: int, type: str = "", retry_after: str | None = None) -> None:  # noqa: A002
        # All four are arguments of Exception, so that pickle restores them: errors may cross processes.
        super().__init__(message, status, type, retry_after)
        self.message = message
        self.status = status
        self.type = type
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class Rejected(ErrorResponse):
    """The request is wrong (4xx). The same request would fail again."""


class ServerFailed(ErrorResponse):
    """The server failed (5xx)."""
