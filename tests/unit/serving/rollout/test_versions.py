"""The version commands, with TorchServe, HAProxy, the golden check and the clock replaced by fakes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.golden import GoldenError
from models.release import sha256
from serving.artifacts import store
from serving.artifacts.model_config import FILE_NAME, ModelConfig
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, VersionError
from serving.proxy import routing
from serving.proxy.routing import Routing
from serving.rollout import startup
from serving.rollout import versions as versions_module
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.rollout.state import Phase, State
from serving.rollout.state_file import StateFile
from serving.rollout.versions import DRAIN_SECONDS, Versions
from serving.runtime import atomic_files
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


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "server")


def test_a_registered_version_answers_requests_that_name_it(world: World) -> None:
    world.versions.register("digits", "2.0", 3)
    assert world.steps() == [
        "started", "checked", "registered", "scaled", "registered", "registered", "ready", "done"
    ]  # fmt: skip
    assert world.management.registered["digits", "2.0"] == 3
    assert world.proxy.maps[routing.FILE_NAME] == {"digits": "1.0", "digits/1.0": "1.0", "digits/2.0": "2.0"}
    assert [(status.version, status.default, status.workers) for status in world.versions.statuses()] == [
        ("1.0", True, 1),
        ("2.0", False, 3),
    ]


def test_a_promoted_version_is_the_default_everywhere(world: World) -> None:
    world.versions.register("digits", "2.0")
    world.versions.promote("digits", "2.0")
    facts = world.facts()
    assert (facts["phase"], facts["default"], facts["previous"]) == (Phase.STABLE, "2.0", "1.0")
    assert facts["map on disk"]["digits"] == facts["map at run time"]["digits"] == "2.0"
    assert facts["TorchServe's default"] == dict.fromkeys(NAMES, "2.0")
    assert world.steps()[-5:] == ["started", "golden", "committed", "torchserve default set", "done"]
    assert world.messages[-1] == "digits 2.0: 10 golden answers were reproduced over HTTP"


def test_a_version_with_a_wrong_golden_answer_is_not_promoted(world: World) -> None:
    world.versions.register("digits", "2.0")

    def golden(archive: Archive) -> int:
        raise GoldenError(f"golden image 00.png of {archive.path.name} differs")

    world.golden = golden
    before = world.facts()
    with pytest.raises(VersionError, match=r"digits 2\.0 is not promoted: golden image 00\.png of digits-2\.0\.mar"):
        world.versions.promote("digits", "2.0")
    assert world.facts() == before
    assert world.steps()[-1] == "failed"


def test_a_version_without_a_ready_worker_is_not_promoted(world: World) -> None:
    world.versions.register("digits", "2.0")
    world.management.broken = ("digits",)
    with pytest.raises(VersionError, match=r"digits 2\.0 has no READY worker"):
        world.versions.promote("digits", "2.0")
    with pytest.raises(VersionError, match=r"digits 3\.0 is not registered: run `torchlight versions register"):
        world.versions.promote("digits", "3.0")


def test_a_replaced_archive_is_neither_registered_nor_promoted(world: World) -> None:
    world.versions.register("digits", "2.0")
    world.archive("2.0", "other weights")
    with pytest.raises(VersionError, match="is registered with other content"):
        world.versions.register("digits", "2.0")
    with pytest.raises(VersionError, match="has changed since it was registered"):
        world.versions.promote("digits", "2.0")
    (world.store / "digits-2.0.mar").unlink()
    with pytest.raises(ArchiveError):
        world.versions.promote("digits", "2.0")


def test_a_rollback_returns_to_the_previous_default_once(world: World) -> None:
    world.versions.register("digits", "2.0")
    world.versions.promote("digits", "2.0")
    assert [world.versions.rollback("digits") for _ in range(2)] == ["1.0", "1.0"]
    facts = world.facts()
    assert (facts["default"], facts["previous"], facts["rolled_back_from"]) == ("1.0", None, "2.0")
    assert world.messages[-1] == "digits was rolled back from 2.0 to 1.0 already"


def test_a_rollback_without_a_promotion_is_refused(world: World) -> None:
    with pytest.raises(VersionError, match=r"digits: nothing was promoted before 1\.0"):
        world.versions.rollback("digits")
    with pytest.raises(VersionError, match="no model 'pets' is served: there is digits"):
        world.versions.rollback("pets")


def test_a_retired_version_answers_its_requests_first(world: World) -> None:
    before = world.facts()
    world.versions.register("digits", "2.0")
    world.proxy.unanswered = [2, 0, 1, 0, 0]
    world.versions.retire("digits", "2.0")
    assert world.clock.now == pytest.approx(5 * versions_module.DRAIN_POLL_SECONDS), "idle twice in a row"
    assert world.facts() == before
    assert world.steps()[-4:] == ["closed", "drained", "unregistered", "done"]
    world.versions.retire("digits", "2.0")
    assert world.messages[-1] == "digits 2.0 was retired already"


def test_a_version_that_stays_busy_is_not_retired(world: World) -> None:
    world.versions.register("digits", "2.0")
    world.management.pending = 1
    with pytest.raises(VersionError, match=r"digits 2\.0 still has 3 requests after 120 s"):
        world.versions.retire("digits", "2.0")
    assert world.clock.now > DRAIN_SECONDS
    assert ("digits", "2.0") in world.management.registered


def test_the_default_is_not_retired(world: World) -> None:
    with pytest.raises(VersionError, match=r"digits 1\.0 is the default version: promote another one first"):
        world.versions.retire("digits", "1.0")
    with pytest.raises(VersionError, match=r"no version 3\.0 of 'digits' is registered: there is 1\.0 \(the default\)"):
        world.versions.retire("digits", "3.0")


# ---- kills


# ---- a model that is new on a running server


@pytest.fixture
def new_model(world: World) -> World:
    """Cells 1.0 and 2.0 beside digits, registered and never promoted."""
    for version in ("1.0", "2.0"):
        world.archive(version, model="cells")
        world.versions.register("cells", version)
    return world


def stored(world: World) -> State:
    state = world.state_file.load()
    assert state is not None
    return state


def test_first_promotion_of_a_model_leaves_nothing_to_roll_back_to(new_model: World) -> None:
    new_model.versions.promote("cells", "2.0")
    cells = stored(new_model).models["cells"]
    assert (cells.default, cells.previous) == ("2.0", None)
    assert routing.read(new_model.folder / routing.FILE_NAME)["cells"] == "2.0"
    with pytest.raises(VersionError, match=r"nothing was promoted before 2\.0"):
        new_model.versions.rollback("cells")


def test_first_promotion_killed_after_its_commit_leaves_nothing_to_roll_back_to(
    new_model: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Routing, model: str, version: str) -> None:
        commit(self, model, version)
        raise Killed

    commit = Routing.set_default
    with monkeypatch.context() as patch:
        patch.setattr(Routing, "set_default", killed)
        with pytest.raises(Killed):
            new_model.versions.promote("cells", "2.0")
    new_model.versions.promote("cells", "2.0")
    cells = stored(new_model).models["cells"]
    assert (cells.default, cells.previous) == ("2.0", None)


def test_retired_versions_of_a_model_without_a_promotion_leave_the_state(new_model: World) -> None:
    new_model.versions.retire("cells", "1.0")
    assert stored(new_model).models["cells"].default == "2.0"
    new_model.versions.retire("cells", "2.0")
    assert list(stored(new_model).models) == ["digits"]
    archives, _ = startup.stored_archives(stored(new_model), new_model.store)
    assert [(archive.model, archive.version) for archive in archives] == [("digits", "1.0")]
    new_model.versions.retire("cells", "2.0")
    assert new_model.messages[-1] == "cells 2.0 was retired already"


def register(world: World) -> None:
    world.versions.register("digits", "2.0")


def promote(world: World) -> None:
    world.versions.promote("digits", "2.0")


def rollback(world: World) -> None:
    world.versions.rollback("digits")


def retire(world: World) -> None:
    world.versions.retire("digits", "2.0")


Command = Callable[[World], None]


@pytest.mark.parametrize(
    ("before", "command"),
    [([], register), ([register], promote), ([register, promote], rollback), ([register], retire)],
    ids=["register", "promote", "rollback", "retire"],
)
def test_a_command_killed_after_any_effect_is_completed_by_running_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[Command], command: Command
) -> None:
    effects_left = 0

    def deadly(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def effect(*args: Any, **kwargs: Any) -> Any:
            nonlocal effects_left
            result = original(*args, **kwargs)
            effects_left -= 1
            if effects_left == 0:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, effect)

    deadly(atomic_files, "write")
    deadly(atomic_files, "append_line")
    deadly(FakeProxy, "_command")
    for name in ("register", "scale", "set_default", "unregister"):
        deadly(FakeManagement, name)

    def prepared(name: str) -> World:
        nonlocal effects_left
        effects_left = 0
        world = World(tmp_path / name)
        for earlier in before:
            earlier(world)
        return world

    undisturbed = prepared("undisturbed")
    command(undisturbed)
    kills = 0
    while True:
        world = prepared(str(kills))
        effects_left = kills + 1
        try:
            command(world)
        except Killed:
            kills += 1
        else:
            break
        command(world)
        assert world.facts() == undisturbed.facts(), f"killed after effect {kills}"
        assert world.steps()[-1] == "done"
    assert kills > 10
