"""What a start brings up: what was asked for, what was kept, and what the store no longer has."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from models.release import ReleaseError, sha256
from serving.artifacts import store
from serving.errors import ArchiveError, ConfigError
from serving.proxy import routing
from serving.rollout import state
from serving.rollout.state import State


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


# ---- what the archives hold


def checked(kept: State) -> tuple[list[str], list[str]]:
    """The versions of digits that start, and what is said."""
    archives, sentences = state.check(kept, state.archives(kept)[0])
    return [found.version for found in archives if found.model == "digits"], sentences


def test_a_start_notes_the_digests_of_what_it_loads(folder: Path) -> None:
    kept = promoted(folder)
    assert checked(kept) == (["2.0", "1.0"], [])
    kept.save(folder)
    again = state.wanted(folder, None, None)
    digests = {version: entry.sha256 for version, entry in again.models["digits"].versions.items()}
    assert digests == {version: sha256(store.ROOT / f"digits-{version}.mar") for version in ("1.0", "2.0")}
    assert checked(again) == (["2.0", "1.0"], [])


@pytest.mark.parametrize("asked", [None, "2.0"])
def test_a_version_whose_archive_changed_since_it_ran_is_named(folder: Path, asked: str | None) -> None:
    kept = promoted(folder)
    checked(kept)
    kept.save(folder)
    before = sha256(store.ROOT / "digits-2.0.mar")
    archive("digits-2.0", code="import os")
    again = state.wanted(folder, asked and "digits", asked)
    versions, sentences = checked(again)
    assert versions[0] == "2.0"
    now = sha256(store.ROOT / "digits-2.0.mar")
    assert sentences == [
        "digits 2.0 is not the file that ran last: model_store/digits-2.0.mar has changed, from SHA-256 "
        f"{before[:12]}… to {now[:12]}…"
    ]
    assert checked(again) == (versions, []), "it is named once"


def test_a_replaced_default_is_not_started_and_another_version_is_left_out(folder: Path) -> None:
    kept = promoted(folder)
    (store.ROOT / "digits-1.0.mar").write_bytes((store.ROOT / "digits-10.0.mar").read_bytes())
    versions, (sentence,) = checked(kept)
    assert versions == ["2.0"]
    assert "digits-1.0.mar.sha256 says" in sentence
    assert sentence.endswith("; digits 1.0 is not started")
    (store.ROOT / "digits-2.0.mar").write_bytes((store.ROOT / "digits-10.0.mar").read_bytes())
    with pytest.raises(ArchiveError, match=r"digits-2\.0\.mar\.sha256 says .*replaced or damaged"):
        checked(kept)


def test_an_archive_without_a_digest_starts_with_a_warning(folder: Path) -> None:
    kept = promoted(folder)
    (store.ROOT / "digits-1.0.mar.sha256").unlink()
    versions, (sentence,) = checked(kept)
    assert versions == ["2.0", "1.0"]
    assert sentence.startswith("warning: model_store/digits-1.0.mar has no digits-1.0.mar.sha256 beside it")


def test_a_version_is_kept_in_one_spelling(folder: Path) -> None:
    kept = promoted(folder)
    with pytest.raises(ReleaseError, match=r"digits 2 and digits 2\.0 are the same version in two spellings"):
        kept.add("digits", "2", None)
    text = (folder / state.FILE_NAME).read_text(encoding="utf-8").replace('"1.0": {', '"2": {')
    (folder / state.FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"models\.digits\.versions: version 2(\.0)? and version 2(\.0)? are the same"
    ):
        state.load(folder)


def test_a_state_of_another_making_is_refused_by_its_size_and_depth(folder: Path) -> None:
    (folder / state.FILE_NAME).write_bytes(b"[" * 100_000)
    with pytest.raises(ConfigError, match=r"state\.json: nested more than 32 deep.*; correct it, or remove it"):
        state.load(folder)
    (folder / state.FILE_NAME).write_bytes(b" " * 2_000_001)
    with pytest.raises(ConfigError, match=r"state\.json: more than 2,000,000 bytes"):
        state.load(folder)
