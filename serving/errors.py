"""Errors of running a server. Each message is one sentence that ends in what to do.

ServingError
├── ConfigError       a setting is unknown, or its value is invalid
├── ArchiveError      a .mar cannot be made, is damaged, or is missing
├── StartError        the server did not start, or does not run
├── ClientError       the proxy could not be reached, or answered with an error
│   ├── NoServer          no connection: refused, unknown host, or too slow
│   ├── BrokenConnection  the connection ended before the response was complete
│   ├── TimedOut          the response was not complete in time
│   └── ErrorResponse       an error response; carries status, type and Retry-After
│       ├── Rejected          4xx: the request is wrong
│       └── ServerFailed      5xx: the server failed
├── VersionError      a version cannot be registered, promoted, rolled back or retired
├── DockerError       Docker or a container failed
│   └── ContainerEnded    the container ended by itself; carries its exit status
└── ManagementError   TorchServe's management API
    ├── Unreachable       no response
    ├── Unauthorized      400 or 401: the token is wrong or expired
    ├── NotRegistered     404: no such model, version or archive
    ├── Conflict          409: registered already
    └── Refused           any other error response
"""

from __future__ import annotations


class ServingError(Exception):
    """An error that the user can fix. Commands print it without a traceback."""


class ConfigError(ServingError):
    """A setting is unknown, or its value is invalid."""


class ArchiveError(ServingError):
    """A .mar cannot be made, is damaged, or is missing."""


class StartError(ServingError):
    """The server did not start, or does not run."""


class ClientError(ServingError):
    """The proxy could not be reached, or answered with an error."""


class NoServer(ClientError):
    """No connection was made: it was refused, the host is unknown, or it took too long. Nothing was sent."""


class BrokenConnection(ClientError):
    """The connection ended before the response was complete."""


class TimedOut(ClientError):
    """The response was not complete in time. The server may still be busy with the request."""


class ErrorResponse(ClientError):
    """An error response.

    Attributes:
        status: the HTTP status.
        type: the error type, such as UnsupportedImage. It is empty if the response is not from Torchlight.
        retry_after: the value of the header Retry-After.
    """

    def __init__(self, message: str, status: int, type: str = "", retry_after: str | None = None) -> None:  # noqa: A002
        super().__init__(message)
        self.status = status
        self.type = type
        self.retry_after = retry_after


class Rejected(ErrorResponse):
    """The request is wrong (4xx). The same request would fail again."""


class ServerFailed(ErrorResponse):
    """The server failed (5xx)."""


class VersionError(ServingError):
    """A version cannot be registered, promoted, rolled back or retired."""


class DockerError(ServingError):
    """Docker or a container failed."""


class ContainerEnded(DockerError):
    """A container ended by itself.

    Attributes:
        status: its exit status, which the command exits with too.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ManagementError(ServingError):
    """TorchServe's management API failed."""


class Unreachable(ManagementError):
    """No response: nothing listens there, or it took too long."""


class Unauthorized(ManagementError):
    """The token is wrong or expired."""


class NotRegistered(ManagementError):
    """The model, version or archive does not exist."""


class Conflict(ManagementError):
    """The version is registered already."""


class Refused(ManagementError):
    """Any other error response."""
