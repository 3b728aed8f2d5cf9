"""A server in memory for tests of versions and rollouts: TorchServe, HAProxy, the golden check and the clock are fakes.

State, journal, records and the map on disk are real files.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.release import sha256
from serving.artifacts import store
from serving.artifacts.model_config import FILE_NAME, ModelConfig
from serving.artifacts.store import Archive
from serving.proxy import routing
from serving.proxy.routing import Routing
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.rollout.state import State
from serving.rollout.state_file import StateFile
from serving.rollout.versions import Versions
from serving.torchserve.worker_roles import RoleCounts
from tests.unit.serving.fake_management import FakeManagement

NAMES = ("digits", "digits-explain", "digits-unbatched")


class Killed(BaseException):
    """Ends a command as SIGKILL does: no handler of `Exception` runs."""


class FakeProxy(Routing):
    """A proxy whose maps at run time are in memory; the map on disk is real."""

    def __init__(self, map_file: Path) -> None:
        super().__init__(map_file, map_file.with_name("no.sock"))
        self._api.command = lambda command: self._command(command)
        self.maps: dict[str, dict[str, str]] = {routing.FILE_NAME: routing.read(map_file), routing.MODELS: {}}
        self.maps[routing.MODELS][routing.MODELS_KEY] = "[]"
        self.unanswered: list[int] = []

    def _command(self, command: str) -> str:
        action, kind, name, *words = command.split(" ")
        if kind == "table":
            return f"0x1: key={words[-1]} conn_cur={self.unanswered.pop(0) if self.unanswered else 0}"
        entries = self.maps[name]
        match action:
            case "show":
                return "".join(f"0x1 {key} {value}\n" for key, value in entries.items())
            case "del":
                del entries[words[0]]
            case _:
                entries[words[0]] = words[1]
        return ""


class FakeClock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class World:
    """A server that runs digits 1.0, beside a store with digits 1.0 and 2.0."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.store.mkdir(parents=True)
        self.archive("1.0")
        self.archive("2.0")
        started = State()
        started.add("digits", "1.0", None)
        self.state_file = StateFile(folder)
        self.state_file.save(started)
        (folder / routing.FILE_NAME).write_text("digits 1.0\ndigits/1.0 1.0\n")
        self.management = FakeManagement()
        self.management.registered = {(name, "1.0"): 1 for name in NAMES}
        self.proxy = FakeProxy(folder / routing.FILE_NAME)
        self.journal = Journal(folder)
        self.clock = FakeClock()
        self.messages: list[str] = []
        self.golden: Callable[[Archive], int] = lambda archive: 10
        self.versions = Versions(
            registry=TorchServeRegistry(self.management, RoleCounts(), folder),
            router=self.proxy,
            golden_check=lambda archive: self.golden(archive),
            state_file=self.state_file,
            journal=self.journal,
            root=self.store,
            log=self.messages.append,
            clock=self.clock,
        )

    def archive(self, version: str, content: str = "", model: str = "digits") -> None:
        path = self.store / f"{model}-{version}.mar"
        with zipfile.ZipFile(path, "w") as mar:
            manifest = {"model": {"modelName": model, "modelVersion": version}}
            mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
            mar.writestr(FILE_NAME, ModelConfig().archived())
            mar.writestr("weights", content)
        store.digest_file(path).write_text(f"{sha256(path)}  {path.name}\n", encoding="ascii")

    def facts(self) -> dict[str, Any]:
        """Return everything that must agree in the end: state, both maps, and TorchServe."""
        state = self.state_file.load()
        assert state is not None
        digits = state.models["digits"]
        return {
            "phase": digits.phase,
            "default": digits.default,
            "previous": digits.previous,
            "rolled_back_from": digits.rolled_back_from,
            "versions": set(digits.versions),
            "map on disk": routing.read(self.folder / routing.FILE_NAME),
            "map at run time": dict(self.proxy.maps[routing.FILE_NAME]),
            "registered": dict(self.management.registered),
            "TorchServe's default": dict(self.management.defaults),
        }

    def steps(self) -> list[str]:
        return [entry["step"] for entry in self.journal.entries()]
