"""What can go wrong in running a server. Each message is one sentence that ends in what to do.

ServingError
├── ConfigError       a setting is unknown or has a value it cannot have
├── ArchiveError      a .mar cannot be made, is damaged, or is not there
├── StartError        the server did not come up, or does not run
├── ClientError       the front door could not be reached, or answered with an error
├── VersionError      a version cannot be registered, promoted, rolled back or retired
├── DockerError       Docker, or a container, did not do what was asked
│   └── ContainerEnded    it ended by itself; carries its exit status
└── ManagementError   TorchServe's management API
    ├── Unreachable       no answer
    ├── Unauthorised      400 or 401: the token is wrong or expired
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
    """The front door could not be reached, or answered with an error."""


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


class Unauthorised(ManagementError):
    """The token is wrong or expired."""


class NotRegistered(ManagementError):
    """There is no such model, version or archive."""


class Conflict(ManagementError):
    """The version was registered before."""


class Refused(ManagementError):
    """Any other answer that is not a success."""
