"""Comparison of an archive with the registered one of its version, by their digests."""

from __future__ import annotations

from models.release import check_spelling
from serving.artifacts.store import Archive
from serving.errors import VersionError
from serving.rollout.interfaces import Registry
from serving.rollout.journal import Journal
from serving.rollout.state import State


def check_registered(registry: Registry, journal: Journal, state: State, archive: Archive) -> None:
    """Check that an archive is new, or has the content that is registered under its version.

    Raises:
        ReleaseError: its version is registered in another spelling.
        VersionError: other content is registered under its version.
    """
    model, version = archive.model, archive.version
    model_state = state.models.get(model)
    versions = model_state.versions if model_state else {}
    check_spelling(model, version, versions, "registered")
    if not registry.holds(model, version):
        return
    if version in versions:
        registered = versions[version].sha256
        remedy = "give the changed archive a version of its own"
    else:  # a command was killed before it wrote the state
        entry = journal.last(model, version, "checked") or {}
        registered = entry.get("evidence", {}).get("sha256")
        remedy = f"run `torchlight versions retire --model {model} --version {version}` first"
    if registered not in (None, archive.sha256):
        raise VersionError(
            f"{model} {version} is registered with other content: SHA-256 {str(registered)[:12]}…, and {archive.path} "
            f"has {archive.sha256[:12]}… now; {remedy}"
        )


def check_promoted(archive: Archive, registered: str | None) -> None:
    """Check that the archive whose golden answers are to be compared is the one that was registered.

    Args:
        registered: digest of the registered archive; None if an older state does not record it.

    Raises:
        VersionError: the archive has changed since.
    """
    if registered not in (None, archive.sha256):
        raise VersionError(
            f"{archive.model} {archive.version} is not promoted: {archive.path} has changed since it was registered, "
            f"from SHA-256 {str(registered)[:12]}… to {archive.sha256[:12]}…; give the changed archive a version of "
            "its own"
        )
