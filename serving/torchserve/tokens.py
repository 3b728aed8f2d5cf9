"""TorchServe's own tokens, read from the key file in its working directory, and renewed before they expire.

TorchServe checks tokens in every mode. Its management API loads code from any folder, so other users of this machine
and web pages in the user's browser must not reach it.

Renewing a token invalidates the old one at once (org.pytorch.serve.http.TokenAuthorization). So only the management
token is renewed, which is read for each call. The inference token, which the proxy holds, outlives the server.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Literal

import requests

from models.documents import read_json
from serving.errors import Unauthorized
from serving.runtime import loopback
from serving.runtime.instance import Instance

Kind = Literal["management", "inference"]
FILE_NAME = "key_file.json"
# A token with a shorter remaining lifetime is renewed.
MARGIN = datetime.timedelta(minutes=5)


class KeyFile:
    """The key file of a server. It is read for each call, because another process may have renewed a token."""

    def __init__(self, path: Path, management_port: int) -> None:
        self._path = path
        self._url = f"http://127.0.0.1:{management_port}/token"

    @classmethod
    def of(cls, instance: Instance) -> KeyFile:
        """Return the key file of a server of Torchlight."""
        return cls(instance.folder / FILE_NAME, instance.ports.management)

    def token(self, kind: Kind) -> str:
        """Return a token that is valid for the next minutes.

        Raises:
            Unauthorized: there is no key file, or TorchServe does not renew the token.
        """
        keys = self._read()
        if kind == "management" and self._expires(keys, kind) - datetime.datetime.now(datetime.UTC) < MARGIN:
            self._renew(keys, kind)
            keys = self._read()
        return str(keys[kind]["key"])

    def _read(self) -> dict[str, Any]:
        try:
            keys: dict[str, Any] = read_json(self._path)
            return {name: keys[name] for name in ("management", "inference", "API")}
        except (OSError, ValueError, KeyError):
            raise Unauthorized(f"{self._path}: TorchServe's tokens cannot be read; is the server running?") from None

    @staticmethod
    def _expires(keys: dict[str, Any], kind: Kind) -> datetime.datetime:
        return datetime.datetime.fromisoformat(keys[kind]["expiration time"])

    def _renew(self, keys: dict[str, Any], kind: Kind) -> None:
        headers = {"Authorization": f"Bearer {keys['API']['key']}"}
        try:
            answer = loopback.request("GET", self._url, params={"type": kind}, headers=headers, timeout=10)
        except requests.RequestException:
            raise Unauthorized(f"the {kind} token cannot be renewed: TorchServe does not answer") from None
        if answer.status_code != 200:
            raise Unauthorized(f"the {kind} token cannot be renewed: TorchServe answered {answer.status_code}")
