"""What can go wrong in running a server. Each message is one sentence that ends in what to do."""

from __future__ import annotations


class ServingError(Exception):
    """Something that the person at the keyboard can put right; commands print it without a traceback."""


class ConfigError(ServingError):
    """A setting is unknown or has a value it cannot have."""


class ArchiveError(ServingError):
    """A .mar cannot be made, is damaged, or is not there."""


class StartError(ServingError):
    """The server did not come up."""


class ClientError(ServingError):
    """The server could not be reached, or answered with an error."""
