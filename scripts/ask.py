"""Flags and client that `predict` and `explain` share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from serving.runtime.instance import Instance, Ports
from torchlight_client import Client


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """Flags for the server, the model and the number of classes.

    Attributes:
        model: name of the model
        version: version of the model (default: the server's default)
        port: port of the server on this machine
        url: URL of another server, such as https://example.org
        top_k: number of classes to list
    """

    model: str = "digits"
    version: str | None = None
    port: int = 8080
    url: str | None = None
    top_k: int = 5


# Type and default of a command's parameter: the attributes become flags.
Server = Annotated[ServerFlags, Parameter(name="*")]
DEFAULT = ServerFlags()


def client(flags: ServerFlags) -> Client:
    """Return the client for these flags; the token is $TORCHLIGHT_TOKEN, or that of the server on this machine."""
    token = os.environ.get("TORCHLIGHT_TOKEN")
    if token is None and flags.url is None:
        token = Instance(Ports(flags.port)).token()
    return Client(flags.url or Instance(Ports(flags.port)).url, token)
