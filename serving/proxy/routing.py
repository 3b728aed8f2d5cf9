"""Which version answers: the proxy's map, on disk and at run time, and what is in flight behind it.

The map holds `digits 1.0` for the default of a model, and `digits/1.0 1.0` for each version that may be asked for. It
is the only commit point of a rollout. A change goes to disk first: what clients have seen is then never newer than what
a restart brings back. HAProxy's side is its runtime API (docs.haproxy.org/2.8/management.html, 9.3).
"""

from __future__ import annotations

import csv
import json
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from serving.artifacts.store import Archive
from serving.errors import Unreachable
from serving.runtime import atomic_files

FILE_NAME = "versions.map"
# Versions that answer a prediction without company at once (serving/proxy/unbatched_routing.py); empty at a start.
UNBATCHED = "unbatched.map"
# The names of all models, as a JSON list under one key: what GET /v1/models answers.
MODELS = "models.map"
MODELS_KEY = "models"
# Versions that are not ready, and the heartbeat (serving/proxy/readiness.py); empty at a start.
HEALTH = "health.map"
# HAProxy's runtime API, in the temp folder of the run.
SOCKET = "haproxy.sock"
TIMEOUT_SECONDS = 5.0


def text(archives: Iterable[Archive]) -> str:
    """The map for a start: the first archive of a model is its default."""
    entries: dict[str, str] = {}
    for archive in archives:
        entries.setdefault(archive.model, archive.version)
        entries[f"{archive.model}/{archive.version}"] = archive.version
    return _text(entries)


def models_text(versions: str) -> str:
    """Return the map of model names that belongs to the text of a map of versions."""
    return _text({MODELS_KEY: _models(_entries(versions))})


def _models(entries: dict[str, str]) -> str:
    """Return the models of a map as a JSON list without blanks, in which HAProxy's commands would end."""
    return json.dumps([key for key in entries if "/" not in key], separators=(",", ":"))


def _entries(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def _text(entries: dict[str, str]) -> str:
    return "".join(f"{key} {version}\n" for key, version in entries.items())


def read(map_file: Path) -> dict[str, str]:
    """The map on disk; empty where there is none."""
    try:
        return _entries(map_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


class Routing:
    """The map of a running proxy, which knows it by its file name: HAProxy runs in the map's folder."""

    def __init__(self, map_file: Path, socket_path: Path) -> None:
        self._map_file = map_file
        self._socket = socket_path

    def set_default(self, model: str, version: str) -> None:
        """Send those who name no version to this one: the commit of a promotion."""
        self._change({model: version, f"{model}/{version}": version})

    def add(self, model: str, version: str) -> None:
        """Let a version be asked for by name."""
        self._change({f"{model}/{version}": version})

    def remove(self, model: str, version: str) -> None:
        """Send nothing more to a version that is no default."""
        key = f"{model}/{version}"
        entries = read(self._map_file)
        if entries.pop(key, None) is not None:
            atomic_files.write(self._map_file, _text(entries))
        if key in self._running():
            self._command(f"del map {self._map_file.name} {key}")

    def has(self, model: str, version: str) -> bool:
        """Say whether the map on disk has a version."""
        return f"{model}/{version}" in read(self._map_file)

    def close_grpc(self) -> None:
        """Send the gRPC gateway nothing more: new calls get a 503, which is UNAVAILABLE to their clients."""
        self._command("set server grpc/gateway state drain")

    def grpc_in_flight(self) -> int:
        """Calls over gRPC that the proxy has taken and not yet answered (`show stat`: qcur and scur)."""
        backends = (row for row in self.statistics() if (row["pxname"], row["svname"]) == ("grpc", "BACKEND"))
        return next((int(row["qcur"]) + int(row["scur"]) for row in backends), 0)

    def statistics(self) -> list[dict[str, str]]:
        """The rows of `show stat`, by column (management.html, 9.1)."""
        return list(csv.DictReader(self._command("show stat").removeprefix("# ").splitlines()))

    def open_unbatched(self, model: str, version: str) -> None:
        """Send predictions of a version that come alone to the worker that it has for them."""
        self._command(f"add map {UNBATCHED} {model}/{version} open")

    def close_unbatched(self, model: str, version: str) -> None:
        """Send them to the other workers again."""
        self._command(f"del map {UNBATCHED} {model}/{version}")

    def health(self) -> dict[str, str]:
        """The map of what is not ready, as the proxy has it."""
        lines = self._command(f"show map {HEALTH}").splitlines()
        return {parts[1]: parts[2] for line in lines if len(parts := line.split(" ", 2)) == 3}

    def add_health(self, key: str, value: str) -> None:
        """Add an entry to that map; its value may hold blanks."""
        self._command(f"add map {HEALTH} {key} {_word(value)}")

    def set_health(self, key: str, value: str) -> None:
        """Change an entry of that map."""
        self._command(f"set map {HEALTH} {key} {_word(value)}")

    def delete_health(self, key: str) -> None:
        """Remove an entry from that map."""
        self._command(f"del map {HEALTH} {key}")

    def default(self, model: str) -> str | None:
        """The default version of a model, as the map on disk has it."""
        return read(self._map_file).get(model)

    def versions(self) -> list[str]:
        """Each version that may be asked for, as `<model>/<version>`."""
        return [key for key in read(self._map_file) if "/" in key]

    def in_flight(self, model: str, version: str) -> int:
        """Requests that the proxy has sent to a version and not yet finished, queued ones included."""
        answer = self._command(f"show table in_flight key {model}/{version}")
        match = re.search(r"\bconn_cur=(\d+)", answer)
        return int(match[1]) if match else 0

    def all_in_flight(self) -> dict[str, int]:
        """Requests in flight by `<model>/<version>`, for each version that was asked within the last hour."""
        rows = re.findall(r"\bkey=(\S+) .*\bconn_cur=(\d+)", self._command("show table in_flight"))
        return {key: int(count) for key, count in rows}

    def _change(self, changes: dict[str, str]) -> None:
        entries = read(self._map_file)
        if entries != (wanted := {**entries, **changes}):
            atomic_files.write(self._map_file, _text(wanted))
        running = self._running()
        for key, version in reversed(changes.items()):  # a version can be asked for before it becomes the default
            if key not in running:
                self._command(f"add map {self._map_file.name} {key} {version}")
            elif running[key] != version:
                self._command(f"set map {self._map_file.name} {key} {version}")
        models = _models(wanted)
        if self._running(MODELS).get(MODELS_KEY) != models:
            atomic_files.write(self._map_file.with_name(MODELS), _text({MODELS_KEY: models}))
            self._command(f"set map {MODELS} {MODELS_KEY} {models}")

    def _running(self, name: str = FILE_NAME) -> dict[str, str]:
        """Return a map that HAProxy has in memory: lines of `<address> <key> <value>`."""
        lines = self._command(f"show map {name}").splitlines()
        return {parts[1]: parts[2] for line in lines if len(parts := line.split()) == 3}

    def _command(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT_SECONDS)
                connection.connect(str(self._socket))
                connection.sendall(command.encode() + b"\n")
                answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        except OSError as error:
            raise Unreachable(
                f"the proxy does not answer at {self._socket} ({error}): is the server running?"
            ) from None
        if answer.strip() and not answer.startswith(("0x", "#")):
            raise Unreachable(f"the proxy answered {command!r} with {answer.strip()!r}")
        return answer


def _word(text: str) -> str:
    """A text as one word of a command (docs.haproxy.org/2.8/management.html, 9.3)."""
    return re.sub(r"([\\ ;<])", r"\\\1", text)
