"""Comparing an archive with what is registered under its version, by their digests."""

from __future__ import annotations

from pathlib import Path

from models.release import check_spelling
from serving.artifacts.store import Archive
from serving.errors import VersionError
from serving.rollout.journal import last_entry
from serving.rollout.registry import Registry
from serving.rollout.state import State


def check_registered(registry: Registry, folder: Path, state: State, archive: Archive) -> None:
    """Check that an archive may be registered beside what is, or is what is registered.

    Raises:
        ReleaseError: its version is registered in another spelling.
        VersionError: other content is registered under its version.
    """
    model, version = archive.model, archive.version
    entry = state.models.get(model)
    check_spelling(model, version, entry.versions if entry else (), "registered")
    if not registry.holds(model, version):
        return
    if entry is not None and version in entry.versions:
        before = entry.versions[version].sha256
        remedy = "give what changed a version of its own"
    else:  # a command was killed before it wrote the state
        begun = last_entry(folder, model, version, "checked") or {}
        before = begun.get("evidence", {}).get("sha256")
        remedy = f"run `make retire MODEL={model} VERSION={version}` first"
    if before not in (None, archive.sha256):
        raise VersionError(
            f"{model} {version} is registered with other content: SHA-256 {str(before)[:12]}…, and {archive.path} has "
            f"{archive.sha256[:12]}… now; {remedy}"
        )


def check_promoted(archive: Archive, registered: str | None) -> None:
    """Check that an archive, whose golden answers are asked for, is the one that was registered.

    Args:
        registered: the digest of that; None where an older state does not say.

    Raises:
        VersionError: it has changed since.
    """
    if registered not in (None, archive.sha256):
        raise VersionError(
            f"{archive.model} {archive.version} is not promoted: {archive.path} has changed since it was registered, "
            f"from SHA-256 {str(registered)[:12]}… to {archive.sha256[:12]}…; give what changed a version of its own"
        )
