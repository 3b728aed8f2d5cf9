"""What `predict` and `explain` have in common: which server to ask, and with which token."""

from __future__ import annotations

import argparse
import os

from serving.client import Client
from serving.runtime.instance import Instance, Ports


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the server, and what to ask it."""
    parser.add_argument("--model", default="digits", help="name of the model (default: digits)")
    parser.add_argument("--version", help="version to ask (default: the one that the server has as default)")
    parser.add_argument("--port", type=int, default=8080, help="of the proxy on this machine (default: 8080)")
    parser.add_argument("--url", help="address of another server, such as https://example.org")
    parser.add_argument("--top-k", type=int, default=5, help="how many classes to list (default: 5)")


def client(arguments: argparse.Namespace) -> Client:
    """The client for those flags; the token is $TORCHLIGHT_TOKEN, else that of the server on this machine."""
    token = os.environ.get("TORCHLIGHT_TOKEN")
    if token is None and arguments.url is None:
        token = Instance(Ports(arguments.port)).token()
    return Client(arguments.url or Instance(Ports(arguments.port)).url, token)
