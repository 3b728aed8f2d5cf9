"""Check that other content is not taken for what is registered under its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.release import ReleaseError
from serving.artifacts.store import Archive
from serving.errors import VersionError
from serving.rollout import archive_content
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.rollout.state import State
from serving.torchserve.worker_roles import RoleCounts
from tests.unit.serving.fake_management import FakeManagement

OLD, NEW = "a" * 64, "b" * 64


def check(folder: Path, sha256: str, *, registered: bool, recorded: str | None = None, version: str = "1.0") -> None:
    """Compare an archive of digits with a server that has 1.0, registered in TorchServe and recorded in its state."""
    management = FakeManagement()
    if registered:
        management.registered["digits-explain", "1.0"] = 1
    state = State()
    if recorded is not None:
        state.add("digits", "1.0", None, recorded)
    registry = TorchServeRegistry(management, RoleCounts(), folder)
    archive = Archive(folder / f"digits-{version}.mar", "digits", version, sha256, listed=True)
    archive_content.check_registered(registry, Journal(folder), state, archive)


def test_the_same_content_may_be_registered_again(tmp_path: Path) -> None:
    check(tmp_path, OLD, registered=True, recorded=OLD)


def test_other_content_under_a_registered_version_is_refused_with_both_digests(tmp_path: Path) -> None:
    with pytest.raises(
        VersionError, match=r"digits 1\.0 is registered with other content: SHA-256 a{12}…, .* has b{12}… now"
    ):
        check(tmp_path, NEW, registered=True, recorded=OLD)


def test_retired_version_may_have_other_content(tmp_path: Path) -> None:
    check(tmp_path, NEW, registered=False, recorded=OLD)


def test_a_registration_that_was_killed_is_completed_with_the_same_content_alone(tmp_path: Path) -> None:
    Journal(tmp_path).begin("register", "digits", "1.0").write("checked", sha256=OLD)
    check(tmp_path, OLD, registered=True)
    with pytest.raises(VersionError, match=r"run `torchlight versions retire --model digits --version 1\.0` first"):
        check(tmp_path, NEW, registered=True)


def test_other_spelling_of_a_registered_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"digits 1 and digits 1\.0 are the same version in two spellings"):
        check(tmp_path, NEW, registered=True, recorded=OLD, version="1")


def test_an_archive_that_changed_since_it_was_registered_is_not_promoted(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "digits-1.0.mar", "digits", "1.0", NEW)
    archive_content.check_promoted(archive, NEW)
    archive_content.check_promoted(archive, None)
    with pytest.raises(VersionError, match="has changed since it was registered"):
        archive_content.check_promoted(archive, OLD)
