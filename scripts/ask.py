"""Flags and client that `predict` and `explain` share."""

from __future__ import annotations

import argparse
import os

from serving.client import Client
from serving.runtime.instance import Instance, Ports


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for server, model and number of classes."""
    parser.add_argument("--model", default="digits", help="name of the model (default: digits)")
    parser.add_argument("--version", help="version of the model (default: the server's default)")
    parser.add_argument("--port", type=int, default=8080, help="port of the server on this machine (default: 8080)")
    parser.add_argument("--url", help="URL of another server, such as https://example.org")
    parser.add_argument("--top-k", type=int, default=5, help="number of classes to list (default: 5)")


def client(arguments: argparse.Namespace) -> Client:
    """Return the client for these flags; the token is $TORCHLIGHT_TOKEN, or that of the server on this machine."""
    token = os.environ.get("TORCHLIGHT_TOKEN")
    if token is None and arguments.url is None:
        token = Instance(Ports(arguments.port)).token()
    return Client(arguments.url or Instance(Ports(arguments.port)).url, token)
