"""Release folders, `releases/<model>/<version>/`, and the order of versions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.card import NAME_PATTERN, VERSION_PATTERN, Card, CardError

ROOT = Path("releases")
WEIGHTS = "weights.safetensors"
# What `uncertainty` of the card is computed with, where that needs more than numbers; otherwise there is none.
UNCERTAINTY = "uncertainty.safetensors"
# Training images that an answer is compared with; an archive may leave it out.
NEIGHBORS = "neighbors.safetensors"
REPORT = "report"


class ReleaseError(ValueError):
    """A release that is not there, is named wrongly or is not whole; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release that exists: its folder and its card."""

    folder: Path
    card: Card


def version_key(version: str) -> tuple[int, int, int]:
    """Return the sort key of a version.

    The parts are compared as numbers, so 10.0 comes after 9.1. Missing parts are 0: 1, 1.0 and 1.0.0 are one version.
    """
    major, minor, patch = (int(part) for part in (version + ".0.0").split(".")[:3])
    return major, minor, patch


def in_order(versions: Iterable[str]) -> list[str]:
    """Return versions from oldest to newest; spellings of one version stay next to each other, in a fixed order."""
    return sorted(versions, key=lambda version: (version_key(version), version))


def check_spelling(model: str, version: str, versions: Iterable[str], where: str) -> None:
    """Check that no other spelling of `version` is among `versions`.

    Args:
        where: those are, for the message, such as "in releases/".

    Raises:
        ReleaseError: there is one; the message shows both.
    """
    for other in versions:
        if other != version and version_key(other) == version_key(version):
            raise ReleaseError(
                f"{model} {version} and {model} {other} are the same version in two spellings, and {other} is {where}: "
                f"write {other}, or choose another number"
            )


def checked_name(name: str) -> str:
    """Return `name` if it is a valid name of a model.

    Raises:
        ReleaseError: it is not valid.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise ReleaseError(
            f"model name {name!r}: use letters, digits, '_' and '-', at most 64, a letter or digit first"
        )
    return name


def checked_version(version: str) -> str:
    """Return `version` if it is a valid version.

    Raises:
        ReleaseError: it is not valid.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,2}", version):
            canonical = ".".join(str(int(part)) for part in version.split("."))
            raise ReleaseError(f"version {version!r}: a number has no zeros in front; write {canonical}")
        raise ReleaseError(f"version {version!r}: use numbers such as 2, 1.0 or 1.2.3")
    return version


def versions(model: str, root: Path = ROOT) -> list[str]:
    """Return the versions of `model` under `root`, oldest first. Other folders are ignored."""
    folder = root / checked_name(model)
    return in_order(
        path.name for path in folder.glob("*") if path.is_dir() and re.fullmatch(VERSION_PATTERN, path.name)
    )


def next_version(model: str, root: Path = ROOT) -> str:
    """Return the default version of a new training: 1.0, then 2.0, and so on."""
    existing = versions(model, root)
    return f"{version_key(existing[-1])[0] + 1}.0" if existing else "1.0"


def find(model: str, version: str | None = None, root: Path = ROOT) -> Release:
    """Return the release of `model` with this `version`, or the newest one.

    Raises:
        ReleaseError: there is none, it is spelled otherwise there, or its card does not fit the folder it lies in.
    """
    existing = versions(model, root)
    if not existing:
        raise ReleaseError(f"no release of {model!r} under {root}/: train one with `torchlight train --model {model}`")
    if version is None:
        version = existing[-1]
        check_spelling(model, version, existing, f"in {root}/ too")
    elif checked_version(version) not in existing:
        check_spelling(model, version, existing, f"in {root}/")
        raise ReleaseError(
            f"no release {version} of {model!r}: there are {', '.join(existing)}; "
            f"train it with `torchlight train --model {model} --version {version}`"
        )
    folder = root / model / version
    try:
        card = Card.load(folder)
    except CardError as error:
        raise ReleaseError(str(error)) from None
    if (card.name, card.version) != (model, version):
        raise ReleaseError(f"{folder}: its card says {card.name} {card.version}; move it or correct the card")
    return Release(folder, card)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_digests(folder: Path, card: Card) -> None:
    """Check that the files the card vouches for are the ones in `folder`.

    Raises:
        ReleaseError: a file is missing or was changed since the card was written.
    """
    for name, expected in card.digests.items():
        path = folder / name
        if not path.is_file():
            raise ReleaseError(f"{path}: missing, though the card lists it; the release is not whole")
        if sha256(path) != expected:
            raise ReleaseError(f"{path}: its SHA-256 is not the card's; the file was changed or damaged")
