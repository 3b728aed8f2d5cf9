"""What can go wrong in running a server. Each message is one sentence that ends in what to do.

ServingError
├── ConfigError       a setting is unknown or has a value it cannot have
├── ArchiveError      a .mar cannot be made, is damaged, or is not there
├── StartError        the server did not come up, or does not run
├── ClientError       the proxy could not be reached, or answered with an error
│   ├── NoServer          no connection: refused, no such host, or not made in time
│   ├── BrokenConnection  it ended before a whole answer had come
│   ├── TimedOut          no whole answer in time
│   └── ErrorAnswer       an answer that is not a success; carries status, type and Retry-After
│       ├── Rejected          4xx: the request is at fault
│       └── ServerFailed      5xx: the server is
├── VersionError      a version cannot be registered, promoted, rolled back or retired
├── DockerError       Docker, or a container, did not do what was asked
│   └── ContainerEnded    it ended by itself; carries its exit status
└── ManagementError   TorchServe's management API
    ├── Unreachable       no answer
    ├── Unauthorized      400 or 401: the token is wrong or expired
    ├── NotRegistered     404: no such model, version or archive
    ├── Conflict          409: registered before
    └── Refused           any other answer that is not a success
"""

from __future__ import annotations


class ServingError(Exception):
    """Something that the person at the keyboard can put right; commands print it without a traceback."""


class ConfigError(ServingError):
    """A setting is unknown or has a value it cannot have."""


class ArchiveError(ServingError):
    """A .mar cannot be made, is damaged, or is not there."""


class StartError(ServingError):
    """The server did not come up, or does not run."""


class ClientError(ServingError):
    """The proxy could not be reached, or answered with an error."""


class NoServer(ClientError):
    """No connection came about: it was refused, the host is unknown, or it took too long. Nothing was sent."""


class BrokenConnection(ClientError):
    """The connection ended before a whole answer had come."""


class TimedOut(ClientError):
    """No whole answer came in time; the server may still be busy with the request."""


class ErrorAnswer(ClientError):
    """An answer that is not a success.

    `status` is the HTTP status; `type` the stable word for the error, such as UnsupportedImage, empty where the answer
    is none of Torchlight's; `retry_after` is that header as it came.
    """

    def __init__(self, message: str, status: int, type: str = "", retry_after: str | None = None) -> None:  # noqa: A002
        super().__init__(message)
        self.status = status
        self.type = type
        self.retry_after = retry_after


class Rejected(ErrorAnswer):
    """The request is at fault (4xx), and would be again."""


class ServerFailed(ErrorAnswer):
    """The server is at fault (5xx)."""


class VersionError(ServingError):
    """A version cannot be registered, promoted, rolled back or retired."""


class DockerError(ServingError):
    """Docker cannot do what was asked of it, or a container did not do its work."""


class ContainerEnded(DockerError):
    """A container ended by itself.

    `status` is its exit status, passed on as that of the command.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ManagementError(ServingError):
    """TorchServe's management API did not do what was asked."""


class Unreachable(ManagementError):
    """No answer: nothing listens, or not in time."""


class Unauthorized(ManagementError):
    """The token is wrong or expired."""


class NotRegistered(ManagementError):
    """There is no such model, version or archive."""


class Conflict(ManagementError):
    """The version was registered before."""


class Refused(ManagementError):
    """Any other answer that is not a success."""
