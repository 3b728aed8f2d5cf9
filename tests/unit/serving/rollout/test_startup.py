"""Starting from the desired state: the requested version, the saved state, and archives that the store lacks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from models.release import sha256
from serving.artifacts import store
from serving.errors import ArchiveError
from serving.proxy import routing
from serving.rollout import startup
from serving.rollout.state import State
from serving.rollout.state_file import StateFile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's folder beside a store with digits 1.0, 2.0 and 10.0, and cells 1.0."""
    monkeypatch.chdir(tmp_path)
    store.ROOT.mkdir()
    for name in ("digits-1.0", "digits-2.0", "digits-10.0", "cells-1.0"):
        archive(name)
    return tmp_path


def archive(name: str, code: str = "pass") -> None:
    """Put an archive into the store, with its digest."""
    model, _, version = name.rpartition("-")
    path = store.ROOT / f"{name}.mar"
    with zipfile.ZipFile(path, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": model, "modelVersion": version}}))
        mar.writestr("torchserve_handler.py", code)
    store.digest_file(path).write_text(f"{sha256(path)}  {path.name}\n", encoding="ascii")


def promoted(folder: Path, order: str | None = None) -> State:
    """Save the state after 2.0 was promoted over 1.0, and return it."""
    saved = State(order=order)
    saved.add("digits", "1.0", None)
    saved.add("digits", "2.0", 2)
    saved.models["digits"].default = "2.0"
    StateFile(folder).save(saved)
    return saved


def test_a_first_start_takes_the_newest_of_each_model(folder: Path) -> None:
    state = startup.desired_state(folder, None, None)
    assert {name: model.default for name, model in state.models.items()} == {"digits": "10.0", "cells": "1.0"}


def test_a_start_restores_the_promoted_version(folder: Path) -> None:
    saved = promoted(folder)
    assert startup.desired_state(folder, None, None) == saved
    assert startup.desired_state(folder, None, None, order="a") == saved, "a container without a version in its launch"


def test_a_requested_version_replaces_the_promoted_one(folder: Path) -> None:
    promoted(folder)
    for _ in range(2):
        assert list(startup.desired_state(folder, "digits", "1.0").models["digits"].versions) == ["1.0"]


def test_a_container_follows_the_version_of_its_launch_once(folder: Path) -> None:
    first = startup.desired_state(folder, None, "1.0", order="a")
    assert first.models["digits"].default == "1.0"
    saved = promoted(folder, order=first.order)
    assert startup.desired_state(folder, None, "1.0", order="a") == saved, "restarted by Docker"
    assert startup.desired_state(folder, None, "1.0", order="b").models["digits"].default == "1.0", "another container"
    assert startup.desired_state(folder, None, "10.0", order="a").models["digits"].default == "10.0", (
        "of the same host name"
    )


def test_the_default_is_started_first_and_the_others_newest_first(folder: Path) -> None:
    saved = promoted(folder)
    saved.add("digits", "10.0", None)
    present, missing = startup.stored_archives(saved)
    assert [archive.version for archive in present] == ["2.0", "10.0", "1.0"]
    assert missing == []


def test_a_missing_archive_of_the_default_refuses_the_start(folder: Path) -> None:
    saved = promoted(folder)
    (store.ROOT / "digits-2.0.mar").unlink()
    with pytest.raises(ArchiveError, match=r"digits-2.0.mar is gone, .* `torchlight serve --model digits"):
        startup.stored_archives(saved)


def test_a_missing_archive_of_another_version_is_reported(folder: Path) -> None:
    saved = promoted(folder)
    (store.ROOT / "digits-1.0.mar").unlink()
    present, missing = startup.stored_archives(saved)
    assert [archive.version for archive in present] == ["2.0"]
    assert missing == ["model_store/digits-1.0.mar is gone: digits 1.0 is not started"]


def test_the_map_decides_if_it_differs_from_the_state(folder: Path) -> None:
    promoted(folder)
    (folder / routing.FILE_NAME).write_text("digits 1.0\ndigits/1.0 1.0\n")
    state = startup.desired_state(folder, None, None)
    assert (state.models["digits"].default, state.models["digits"].previous) == ("1.0", "2.0")


# ---- contents of the archives


def checked(saved: State) -> tuple[list[str], list[str]]:
    """Return the versions of digits that start, and the sentences on the others."""
    archives, sentences = startup.check_archives(saved, startup.stored_archives(saved)[0])
    return [archive.version for archive in archives if archive.model == "digits"], sentences


def test_a_start_records_the_digests_of_its_archives(folder: Path) -> None:
    saved = promoted(folder)
    assert checked(saved) == (["2.0", "1.0"], [])
    StateFile(folder).save(saved)
    again = startup.desired_state(folder, None, None)
    digests = {version: entry.sha256 for version, entry in again.models["digits"].versions.items()}
    assert digests == {version: sha256(store.ROOT / f"digits-{version}.mar") for version in ("1.0", "2.0")}
    assert checked(again) == (["2.0", "1.0"], [])


@pytest.mark.parametrize("requested", [None, "2.0"])
def test_an_archive_that_changed_since_it_ran_is_reported(folder: Path, requested: str | None) -> None:
    saved = promoted(folder)
    checked(saved)
    StateFile(folder).save(saved)
    before = sha256(store.ROOT / "digits-2.0.mar")
    archive("digits-2.0", code="import os")
    again = startup.desired_state(folder, requested and "digits", requested)
    versions, sentences = checked(again)
    assert versions[0] == "2.0"
    now = sha256(store.ROOT / "digits-2.0.mar")
    assert sentences == [
        "digits 2.0 is not the file that ran last: model_store/digits-2.0.mar has changed, from SHA-256 "
        f"{before[:12]}… to {now[:12]}…"
    ]
    assert checked(again) == (versions, []), "reported once"


def test_a_replaced_default_is_not_started_and_another_version_is_left_out(folder: Path) -> None:
    saved = promoted(folder)
    (store.ROOT / "digits-1.0.mar").write_bytes((store.ROOT / "digits-10.0.mar").read_bytes())
    versions, (sentence,) = checked(saved)
    assert versions == ["2.0"]
    assert "digits-1.0.mar.sha256 says" in sentence
    assert sentence.endswith("; digits 1.0 is not started")
    (store.ROOT / "digits-2.0.mar").write_bytes((store.ROOT / "digits-10.0.mar").read_bytes())
    with pytest.raises(ArchiveError, match=r"digits-2\.0\.mar\.sha256 says .*replaced or damaged"):
        checked(saved)


def test_an_archive_without_a_digest_starts_with_a_warning(folder: Path) -> None:
    saved = promoted(folder)
    (store.ROOT / "digits-1.0.mar.sha256").unlink()
    versions, (sentence,) = checked(saved)
    assert versions == ["2.0", "1.0"]
    assert sentence.startswith("warning: model_store/digits-1.0.mar has no digits-1.0.mar.sha256 beside it")
