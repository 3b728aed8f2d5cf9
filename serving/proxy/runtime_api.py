"""HAProxy's runtime API: commands to a running proxy (docs.haproxy.org/2.8/management.html, 9.3)."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from serving.errors import Unreachable

TIMEOUT_SECONDS = 5.0


class RuntimeApi:
    """The runtime API of one proxy, at a Unix socket.

    HAProxy runs in the folder of its maps, so their file names identify them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def command(self, command: str) -> str:
        """Send one command and return the answer.

        Raises:
            Unreachable: the proxy does not answer, or answers with an error.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT_SECONDS)
                connection.connect(str(self._path))
                connection.sendall(command.encode() + b"\n")
                answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        except OSError as error:
            raise Unreachable(f"the proxy does not answer at {self._path} ({error}): is the server running?") from None
        if answer.strip() and not answer.startswith(("0x", "#")):
            raise Unreachable(f"the proxy answered {command!r} with {answer.strip()!r}")
        return answer

    def entries(self, name: str) -> dict[str, str]:
        """Return a map that HAProxy has in memory, from lines of `<address> <key> <value>`."""
        lines = self.command(f"show map {name}").splitlines()
        return {parts[1]: parts[2] for line in lines if len(parts := line.split(" ", 2)) == 3}


def word(text: str) -> str:
    """Return a text escaped as one word of a command."""
    return re.sub(r"([\\ ;<])", r"\\\1", text)
