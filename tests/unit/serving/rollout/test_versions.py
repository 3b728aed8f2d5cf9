"""The version commands, with TorchServe, HAProxy, the golden check and the clock replaced by fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.golden import GoldenError
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, VersionError
from serving.proxy import routing
from serving.proxy.routing import Routing
from serving.rollout import startup
from serving.rollout import versions as versions_module
from serving.rollout.state import Phase, State
from serving.rollout.versions import DRAIN_SECONDS
from serving.runtime import atomic_files
from tests.unit.serving.fake_management import FakeManagement
from tests.unit.serving.rollout.fake_server import NAMES, FakeProxy, Killed, World


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
