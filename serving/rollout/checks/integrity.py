"""Check of the candidate's archive, and of the memory and disk for both versions at once. Nothing has changed yet."""

from __future__ import annotations

from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.rollout.resources import Resources
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "integrity"


def judge(archive: Archive, resources: Resources, *, loaded: bool) -> Verdict:
    """Return whether a checked archive can be loaded beside the stable version.

    Args:
        archive: the archive as `store.checked` returns it.
        loaded: True if the version is registered already: then its memory and disk are in use.
    """
    evidence = {
        "sha256": archive.sha256,
        "listed": archive.listed,
        "loaded": loaded,
        "needed_memory": resources.needed_memory,
        "free_memory": resources.free_memory,
        "needed_disk": resources.needed_disk,
        "free_disk": resources.free_disk,
    }
    outcome = Outcome.FAIL
    if not archive.sha256:
        message = f"the content of {archive.path} was not compared with its digest"
    elif not loaded and resources.needed_memory > resources.free_memory:
        message = (
            f"{archive.model} {archive.version} needs about {_mb(resources.needed_memory)} of memory beside the stable "
            f"version, and {_mb(resources.free_memory)} are free: stop other programs, or give it fewer workers"
        )
    elif not loaded and resources.needed_disk > resources.free_disk:
        message = (
            f"{archive.model} {archive.version} unpacks to {_mb(resources.needed_disk)}, and {resources.folder} has "
            f"{_mb(resources.free_disk)} free: free some space there"
        )
    else:
        outcome = Outcome.PASS
        message = f"{archive.path} has SHA-256 {archive.sha256[:12]}…"
        if not loaded:
            message += (
                f"; it needs about {_mb(resources.needed_memory)} of memory and {_mb(resources.needed_disk)} of disk, "
                f"and {_mb(resources.free_memory)} and {_mb(resources.free_disk)} are free"
            )
        if not archive.listed:
            message += f"; {store.unlisted(archive)}"
    return Verdict(check=NAME, outcome=outcome, message=message, evidence=evidence, time=now())


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
