"""Version commands run as a user would, and what must agree after them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import requests

from serving.proxy import routing
from serving.torchserve.management import Management
from tests.support.server import Server, run


def run_versions(server: Server, command: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return run(server.workspace, "scripts.versions", command, "--port", str(server.ports.public), *flags)


def run_ok(server: Server, command: str, *flags: str) -> str:
    finished = run_versions(server, command, *flags)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def answering(server: Server, image: bytes, version: str = "") -> str:
    answer = requests.post(f"{server.url}/predictions/digits{version}", data=image, timeout=30)
    assert answer.status_code == 200
    return str(answer.json()["version"])


def server_state(server: Server) -> dict[str, Any]:
    """Everything that must agree in the end: state, map on disk and at run time, TorchServe's own default."""
    folder = server.instance.folder
    status = server.instance.status()
    assert status is not None
    proxy = routing.Routing(folder / routing.FILE_NAME, Path(status.temp) / "haproxy.sock")
    kept = json.loads((folder / "state.json").read_text())["models"]["digits"]
    management = Management.of(server.instance)
    return {
        "default": kept["default"],
        "previous": kept["previous"],
        "rolled_back_from": kept["rolled_back_from"],
        "versions": {version: entry["workers"] for version, entry in kept["versions"].items()},
        "map on disk": routing.read(folder / routing.FILE_NAME),
        "map at run time": proxy._running(),
        "TorchServe": management.models(),
        "registered": sorted(
            (v.model, v.version, v.configured, v.ready)
            for name in management.models()
            for v in management.describe(name)
        ),
    }
