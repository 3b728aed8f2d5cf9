"""The state on disk: what is refused, what an older release wrote, and what a killed command left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.release import ReleaseError
from serving.errors import ConfigError, VersionError
from serving.proxy import routing
from serving.rollout.state import ModelState, Phase, State
from serving.rollout.state_file import FILE_NAME, StateFile

VERSIONS = {version: {"workers": None, "since": "2026-01-01T00:00:00+00:00"} for version in ("1.0", "2.0", "3.0")}


def write(folder: Path, model: dict[str, Any], **fields: Any) -> StateFile:
    """Write a state of digits with three versions, as an older release did."""
    document = {
        "schema_version": 1,
        "generation": 4,
        "order": None,
        "models": {"digits": {**model, "versions": VERSIONS}},
    }
    (folder / FILE_NAME).write_text(json.dumps(document | fields))
    return StateFile(folder)


def load(state_file: StateFile) -> ModelState:
    """Load the state of digits."""
    state = state_file.load()
    assert state is not None
    return state.models["digits"]


def commit(folder: Path, version: str) -> None:
    """Write the map as a command does that is killed right after it."""
    (folder / routing.FILE_NAME).write_text(f"digits {version}\ndigits/{version} {version}\n")


def test_a_server_that_never_ran_has_no_state(tmp_path: Path) -> None:
    assert StateFile(tmp_path).load() is None


def test_a_saved_state_is_loaded_again(tmp_path: Path) -> None:
    state = State()
    state.add("digits", "1.0", 2, "a" * 64)
    StateFile(tmp_path).save(state)
    assert StateFile(tmp_path).load() == state
    assert (state.generation, state.schema_version, state.models["digits"].phase) == (1, 2, Phase.STABLE)
    assert json.loads((tmp_path / FILE_NAME).read_text())["models"]["digits"]["phase"] == "stable"


@pytest.mark.parametrize(
    ("rolled_back_from", "phase", "rolled_back"),
    [(None, Phase.STABLE, False), ("2.0", Phase.ROLLING_BACK, False), ("3.0", Phase.STABLE, True)],
)
def test_a_state_without_phases_is_converted(
    tmp_path: Path, rolled_back_from: str | None, phase: Phase, rolled_back: bool
) -> None:
    state_file = write(tmp_path, {"default": "2.0", "previous": "1.0", "rolled_back_from": rolled_back_from})
    model = load(state_file)
    assert (model.phase, model.rolled_back) == (phase, rolled_back)
    assert (model.default, model.previous, model.rolled_back_from) == ("2.0", "1.0", rolled_back_from)
    state = state_file.load()
    assert state is not None
    assert (state.schema_version, state.generation) == (2, 4)


def test_a_state_of_a_later_release_is_refused(tmp_path: Path) -> None:
    state_file = write(tmp_path, {"default": "2.0"}, schema_version=3)
    with pytest.raises(
        ConfigError, match=r"schema_version is 3, and this release of Torchlight reads 1 and 2; correct"
    ):
        state_file.load()


def test_an_unknown_phase_is_refused(tmp_path: Path) -> None:
    state_file = write(tmp_path, {"default": "2.0", "phase": "baking"}, schema_version=2)
    with pytest.raises(ConfigError, match=r"models\.digits\.phase: .*'stable' or 'rolling_back'.*remove it"):
        state_file.load()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"models": 3}')
    with pytest.raises(ConfigError, match=r"state.json: models: .*remove it"):
        StateFile(tmp_path).load()


def test_a_state_of_another_program_is_refused_by_its_size_and_depth(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"[" * 100_000)
    with pytest.raises(ConfigError, match=r"state\.json: nested more than 32 deep.*; correct it, or remove it"):
        StateFile(tmp_path).load()
    (tmp_path / FILE_NAME).write_bytes(b" " * 2_000_001)
    with pytest.raises(ConfigError, match=r"state\.json: more than 2,000,000 bytes"):
        StateFile(tmp_path).load()


def test_a_version_has_one_spelling(tmp_path: Path) -> None:
    state = State()
    state.add("digits", "1.0", None)
    state.add("digits", "2.0", 2)
    StateFile(tmp_path).save(state)
    with pytest.raises(ReleaseError, match=r"digits 2 and digits 2\.0 are the same version in two spellings"):
        state.add("digits", "2", None)
    text = (tmp_path / FILE_NAME).read_text(encoding="utf-8").replace('"1.0": {', '"2": {')
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"models\.digits\.versions: version 2(\.0)? and version 2(\.0)? are the same"
    ):
        StateFile(tmp_path).load()


def test_a_promotion_that_was_committed_is_followed(tmp_path: Path) -> None:
    state_file = write(tmp_path, {"default": "1.0", "rolled_back_from": "2.0"})
    commit(tmp_path, "2.0")
    model = load(state_file)
    assert (model.phase, model.default, model.previous) == (Phase.STABLE, "2.0", "1.0")
    assert not model.rolled_back, "a rollback of this promotion is still possible"


def test_a_rollback_that_was_committed_is_followed(tmp_path: Path) -> None:
    state_file = write(
        tmp_path, {"phase": "rolling_back", "default": "2.0", "previous": "1.0", "rolled_back_from": "2.0"}
    )
    commit(tmp_path, "1.0")
    model = load(state_file)
    assert (model.phase, model.default, model.previous, model.rolled_back) == (Phase.STABLE, "1.0", None, True)


def test_a_rollback_that_was_not_committed_can_be_run_again(tmp_path: Path) -> None:
    state_file = write(
        tmp_path, {"phase": "rolling_back", "default": "2.0", "previous": "1.0", "rolled_back_from": "2.0"}
    )
    commit(tmp_path, "2.0")
    model = load(state_file)
    assert (model.phase, model.default, model.previous) == (Phase.ROLLING_BACK, "2.0", "1.0")


def test_a_promotion_after_a_rollback_that_was_not_committed_is_followed(tmp_path: Path) -> None:
    state_file = write(
        tmp_path, {"phase": "rolling_back", "default": "2.0", "previous": "1.0", "rolled_back_from": "2.0"}
    )
    commit(tmp_path, "3.0")
    model = load(state_file)
    assert (model.phase, model.default, model.previous, model.rolled_back) == (Phase.STABLE, "3.0", "2.0", False)


def test_a_rollback_without_a_target_is_given_up(tmp_path: Path) -> None:
    model = load(write(tmp_path, {"default": "2.0", "previous": "1.0", "rolled_back_from": "2.0"}))
    model.remove("1.0")
    assert (model.phase, model.previous, model.rolled_back_from) == (Phase.STABLE, None, None)
    assert list(model.versions) == ["2.0", "3.0"]


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    running = StateFile(tmp_path).lock()
    with running, pytest.raises(VersionError, match="another version command is running"), StateFile(tmp_path).lock():
        raise AssertionError("two commands at once")
    with StateFile(tmp_path).lock():
        pass
