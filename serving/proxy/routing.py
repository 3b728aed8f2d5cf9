"""Routing of requests to versions: the proxy's map, on disk and at run time, and the requests in flight.

The map has `digits 1.0` for the default version of a model, and `digits/1.0 1.0` for each version that requests may
name. It is the only commit point of a rollout. A change is written to disk first, so that a restart never brings back
an older version than clients have seen.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

from serving.artifacts.store import Archive
from serving.proxy.runtime_api import RuntimeApi, word
from serving.runtime import atomic_files

FILE_NAME = "versions.map"
# Versions whose unbatched worker is up (serving/proxy/unbatched_routing.py). Empty at a start.
UNBATCHED = "unbatched.map"
# The names of all models, as a JSON list under one key: the response of GET /v1/models.
MODELS = "models.map"
MODELS_KEY = "models"
# Versions that are not ready, and the heartbeat (serving/proxy/readiness.py). Empty at a start.
HEALTH = "health.map"
# Socket of HAProxy's runtime API, in the temporary folder of the run.
SOCKET = "haproxy.sock"


def text(archives: Iterable[Archive]) -> str:
    """Return the text of the map for a start. The first archive of a model is its default."""
    entries: dict[str, str] = {}
    for archive in archives:
        entries.setdefault(archive.model, archive.version)
        entries[f"{archive.model}/{archive.version}"] = archive.version
    return map_text(entries)


def models_text(versions: str) -> str:
    """Return the text of the map of model names, by the text of the map of versions."""
    return map_text({MODELS_KEY: _models(_entries(versions))})


def _models(entries: dict[str, str]) -> str:
    """Return the models of a map as a JSON list without spaces: they would end a command of HAProxy."""
    return json.dumps([key for key in entries if "/" not in key], separators=(",", ":"))


def _entries(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def map_text(entries: dict[str, str]) -> str:
    """Return the text of a map on disk."""
    return "".join(f"{key} {version}\n" for key, version in entries.items())


def read(map_file: Path) -> dict[str, str]:
    """Return the map on disk, or an empty map without a file."""
    try:
        return _entries(map_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


class Routing:
    """The maps of a running proxy. HAProxy runs in their folder, so file names identify them."""

    def __init__(self, map_file: Path, socket_path: Path) -> None:
        self._map_file = map_file
        self._api = RuntimeApi(socket_path)

    def set_default(self, model: str, version: str) -> None:
        """Route requests without a version to this version: the commit of a promotion."""
        self._change({model: version, f"{model}/{version}": version})

    def add(self, model: str, version: str) -> None:
        """Route requests that name this version to it."""
        self._change({f"{model}/{version}": version})

    def remove(self, model: str, version: str) -> None:
        """Route no more requests to a version, which must not be the default."""
        key = f"{model}/{version}"
        entries = read(self._map_file)
        if entries.pop(key, None) is not None:
            atomic_files.write(self._map_file, map_text(entries))
        if key in self._running():
            self._api.command(f"del map {self._map_file.name} {key}")

    def has(self, model: str, version: str) -> bool:
        """Return whether the map on disk has a version."""
        return f"{model}/{version}" in read(self._map_file)

    def close_grpc(self) -> None:
        """Route no more calls to the gRPC gateway. New calls get a 503, which clients see as UNAVAILABLE."""
        self._api.command("set server grpc/gateway state drain")

    def grpc_in_flight(self) -> int:
        """Return the number of gRPC calls in flight at the proxy (`show stat`: qcur and scur)."""
        backends = (row for row in self.statistics() if (row["pxname"], row["svname"]) == ("grpc", "BACKEND"))
        return next((int(row["qcur"]) + int(row["scur"]) for row in backends), 0)

    def statistics(self) -> list[dict[str, str]]:
        """Return the rows of `show stat`, by column (management.html, 9.1)."""
        return list(csv.DictReader(self._api.command("show stat").removeprefix("# ").splitlines()))

    def open_unbatched(self, model: str, version: str) -> None:
        """Route single predictions of a version to its unbatched worker."""
        self._api.command(f"add map {UNBATCHED} {model}/{version} open")

    def close_unbatched(self, model: str, version: str) -> None:
        """Route single predictions of a version to its predict workers again."""
        self._api.command(f"del map {UNBATCHED} {model}/{version}")

    def health(self) -> dict[str, str]:
        """Return the proxy's map of versions that are not ready."""
        return self._api.entries(HEALTH)

    def add_health(self, key: str, value: str) -> None:
        """Add an entry to that map. Its value may contain spaces."""
        self._api.command(f"add map {HEALTH} {key} {word(value)}")

    def set_health(self, key: str, value: str) -> None:
        """Change an entry of that map."""
        self._api.command(f"set map {HEALTH} {key} {word(value)}")

    def delete_health(self, key: str) -> None:
        """Remove an entry from that map."""
        self._api.command(f"del map {HEALTH} {key}")

    def default(self, model: str) -> str | None:
        """Return the default version of a model, by the map on disk."""
        return read(self._map_file).get(model)

    def versions(self) -> list[str]:
        """Return each version that requests may name, as `<model>/<version>`."""
        return [key for key in read(self._map_file) if "/" in key]

    def in_flight(self, model: str, version: str) -> int:
        """Return the number of requests in flight to a version, including queued ones."""
        answer = self._api.command(f"show table in_flight key {model}/{version}")
        match = re.search(r"\bconn_cur=(\d+)", answer)
        return int(match[1]) if match else 0

    def all_in_flight(self) -> dict[str, int]:
        """Return the requests in flight by `<model>/<version>`, for each version with a request in the last hour."""
        rows = re.findall(r"\bkey=(\S+) .*\bconn_cur=(\d+)", self._api.command("show table in_flight"))
        return {key: int(count) for key, count in rows}

    def _change(self, changes: dict[str, str]) -> None:
        entries = read(self._map_file)
        if entries != (changed := {**entries, **changes}):
            atomic_files.write(self._map_file, map_text(changed))
        running = self._running()
        for key, version in reversed(
            changes.items()
        ):  # a version can be requested by name before it becomes the default
            if key not in running:
                self._api.command(f"add map {self._map_file.name} {key} {version}")
            elif running[key] != version:
                self._api.command(f"set map {self._map_file.name} {key} {version}")
        models = _models(changed)
        if self._running(MODELS).get(MODELS_KEY) != models:
            atomic_files.write(self._map_file.with_name(MODELS), map_text({MODELS_KEY: models}))
            self._api.command(f"set map {MODELS} {MODELS_KEY} {models}")

    def _running(self, name: str = FILE_NAME) -> dict[str, str]:
        """Return a map that HAProxy has in memory, from lines of `<address> <key> <value>`."""
        return self._api.entries(name)
