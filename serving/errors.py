"""Errors of running a server. Each message is one sentence that ends in what to do.

ServingError
├── ConfigError       a setting is unknown, or its value is invalid
├── ArchiveError      a .mar cannot be made, is damaged, or is missing
├── StartError        the server did not start, or does not run
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
