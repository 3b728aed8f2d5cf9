"""What a start brings up: what was asked for, what was kept, and what the store no longer has."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving import routing, state, store
from serving.errors import ArchiveError, ConfigError
from serving.state import State


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's folder beside a store with digits 1.0, 2.0 and 10.0, and cells 1.0."""
    monkeypatch.chdir(tmp_path)
    store.ROOT.mkdir()
    for name in ("digits-1.0", "digits-2.0", "digits-10.0", "cells-1.0"):
        (store.ROOT / f"{name}.mar").touch()
    return tmp_path


def promoted(folder: Path, order: str | None = None) -> State:
    """What is kept after 2.0 was promoted over 1.0."""
    kept = State(order=order)
    kept.add("digits", "1.0", None)
    kept.add("digits", "2.0", 2)
    kept.models["digits"].default = "2.0"
    kept.save(folder)
    return kept


def test_a_first_start_takes_the_newest_of_each_model(folder: Path) -> None:
    found = state.wanted(folder, None, None)
    assert {name: model.default for name, model in found.models.items()} == {"digits": "10.0", "cells": "1.0"}


def test_a_start_brings_back_what_was_promoted(folder: Path) -> None:
    kept = promoted(folder)
    assert state.wanted(folder, None, None) == kept
    assert state.wanted(folder, None, None, order="a") == kept, "a container that was told no version"


def test_an_asked_version_replaces_what_was_promoted(folder: Path) -> None:
    promoted(folder)
    for _ in range(2):
        assert list(state.wanted(folder, "digits", "1.0").models["digits"].versions) == ["1.0"]


def test_a_container_follows_the_version_of_its_launch_once(folder: Path) -> None:
    first = state.wanted(folder, None, "1.0", order="a")
    assert first.models["digits"].default == "1.0"
    kept = promoted(folder, order=first.order)
    assert state.wanted(folder, None, "1.0", order="a") == kept, "restarted by Docker"
    assert state.wanted(folder, None, "1.0", order="b").models["digits"].default == "1.0", "another container"
    assert state.wanted(folder, None, "10.0", order="a").models["digits"].default == "10.0", "of the same host name"


def test_the_default_is_started_first_and_the_others_newest_first(folder: Path) -> None:
    kept = promoted(folder)
    kept.add("digits", "10.0", None)
    found, missing = state.archives(kept)
    assert [archive.version for archive in found] == ["2.0", "10.0", "1.0"]
    assert missing == []


def test_without_the_archive_of_the_default_nothing_is_started(folder: Path) -> None:
    kept = promoted(folder)
    (store.ROOT / "digits-2.0.mar").unlink()
    with pytest.raises(ArchiveError, match=r"digits-2.0.mar is gone, .* `make serve MODEL=digits"):
        state.archives(kept)


def test_another_version_whose_archive_is_gone_is_left_out_and_named(folder: Path) -> None:
    kept = promoted(folder)
    (store.ROOT / "digits-1.0.mar").unlink()
    found, missing = state.archives(kept)
    assert [archive.version for archive in found] == ["2.0"]
    assert missing == ["model_store/digits-1.0.mar is gone: digits 1.0 is not started"]


def test_where_map_and_state_differ_the_map_wins(folder: Path) -> None:
    promoted(folder)
    (folder / routing.FILE_NAME).write_text("digits 1.0\ndigits/1.0 1.0\n")
    found = state.wanted(folder, None, None)
    assert (found.models["digits"].default, found.models["digits"].previous) == ("1.0", "2.0")


def test_a_damaged_state_is_named(folder: Path) -> None:
    (folder / state.FILE_NAME).write_text('{"models": 3}')
    with pytest.raises(ConfigError, match=r"state.json: models: .*remove it"):
        state.wanted(folder, None, None)
