"""The model store: the folder of `<model>-<version>.mar` files that TorchServe loads from."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from models.release import checked_name, checked_version, version_key
from serving.errors import ArchiveError

ROOT = Path("model_store")
_FILE = re.compile(r"^(?P<model>[A-Za-z0-9][A-Za-z0-9_-]*)-(?P<version>[0-9]+(\.[0-9]+){0,2})\.mar$")


@dataclass(frozen=True, slots=True)
class Archive:
    """A .mar in the store, by the names in its file name."""

    path: Path
    model: str
    version: str


def path_of(model: str, version: str, root: Path = ROOT) -> Path:
    """Where the .mar of a version belongs."""
    return root / f"{checked_name(model)}-{checked_version(version)}.mar"


def archives(root: Path = ROOT) -> list[Archive]:
    """What is in the store, by model, oldest version first; files named otherwise are passed over."""
    found = []
    for path in root.glob("*.mar"):
        match = _FILE.match(path.name)
        if match:
            found.append(Archive(path, match["model"], match["version"]))
    return sorted(found, key=lambda archive: (archive.model, version_key(archive.version)))


def choose(model: str | None, version: str | None, root: Path = ROOT) -> list[Archive]:
    """What to serve: `version` of `model`, or its newest; without a model, the newest of every model.

    Raises:
        ArchiveError: it is not there; the message names what is.
    """
    stored = archives(root)
    if model is not None:
        stored = [archive for archive in stored if archive.model == model]
    if not stored:
        which = f"of {model!r} " if model else ""
        raise ArchiveError(
            f"no .mar {which}in {root}/: make one with `make archive{f' MODEL={model}' if model else ''}`"
        )
    if version is not None:
        chosen = [archive for archive in stored if archive.version == version]
        if not chosen:
            there = ", ".join(f"{archive.model} {archive.version}" for archive in stored)
            raise ArchiveError(
                f"no version {version} in {root}/: there is {there}; make it with `make archive VERSION={version}`"
            )
        return chosen
    return list({archive.model: archive for archive in stored}.values())


def checked(archive: Archive) -> Archive:
    """The archive, if it is there and whole and holds the version that its file name says.

    TorchServe goes by the manifest inside: a renamed file would be registered as something else.

    Raises:
        ArchiveError: it is not so.
    """
    again = f"make it again with `make archive MODEL={archive.model} VERSION={archive.version}`"
    try:
        with zipfile.ZipFile(archive.path) as mar:
            damaged = mar.testzip()
            manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
    except FileNotFoundError:
        raise ArchiveError(f"{archive.path}: no such archive; {again}") from None
    except (zipfile.BadZipFile, OSError, KeyError, ValueError) as error:
        raise ArchiveError(f"{archive.path}: not a whole .mar ({error}); {again}") from None
    if damaged is not None:
        raise ArchiveError(f"{archive.path}: {damaged} in it is damaged; {again}")
    inside = (manifest.get("modelName"), manifest.get("modelVersion"))
    if inside != (archive.model, archive.version):
        raise ArchiveError(f"{archive.path}: holds {inside[0]} {inside[1]}, not what its name says; {again}")
    return archive
