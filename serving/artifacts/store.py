"""The model store: the folder of `<model>-<version>.mar` files that TorchServe loads from.

Beside each lies `<model>-<version>.mar.sha256`, written by `make archive`: a file that was replaced or damaged since is
refused wherever it is taken. An archive of another tool has none, which is said and not refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from models import documents
from models.card import NAME_PATTERN, VERSION_PATTERN
from models.documents import DocumentError
from models.release import check_spelling, checked_name, checked_version, in_order, sha256, version_key
from serving.artifacts import mar
from serving.errors import ArchiveError

ROOT = Path("model_store")
_FILE = re.compile(rf"(?P<model>{NAME_PATTERN[1:-1]})-(?P<version>{VERSION_PATTERN[1:-1]})\.mar")
# A line of sha256sum, in either of its modes.
_DIGEST = re.compile(r"(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>[^\n]+)\n?")
_DIGEST_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Archive:
    """A .mar in the store, by the names in its file name.

    Attributes:
        sha256: of the whole file, when it was checked; empty before.
        listed: whether the file of digests beside it has the same.
    """

    path: Path
    model: str
    version: str
    sha256: str = ""
    listed: bool = False


def path_of(model: str, version: str, root: Path = ROOT) -> Path:
    """Where the .mar of a version belongs."""
    return root / f"{checked_name(model)}-{checked_version(version)}.mar"


def digest_file(path: Path) -> Path:
    """Return where the digest of a .mar belongs."""
    return path.with_name(f"{path.name}.sha256")


def archives(root: Path = ROOT) -> list[Archive]:
    """What is in the store, by model, oldest version first; files named otherwise are passed over."""
    found = []
    for path in root.glob("*.mar"):
        match = _FILE.fullmatch(path.name)
        if match:
            found.append(Archive(path, match["model"], match["version"]))
    return sorted(found, key=lambda archive: (archive.model, version_key(archive.version), archive.version))


def versions(model: str, root: Path = ROOT) -> list[str]:
    """Return the versions of a model that the store has, oldest first."""
    return in_order(archive.version for archive in archives(root) if archive.model == model)


def choose(model: str | None, version: str | None, root: Path = ROOT) -> list[Archive]:
    """What to serve: `version` of `model`, or its newest; without a model, the newest of every model.

    Raises:
        ArchiveError: it is not there; the message names what is.
        ReleaseError: the version is there in another spelling, or the newest one in two.
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
        chosen = [archive for archive in stored if archive.version == checked_version(version)]
        if not chosen:
            for archive in stored:
                check_spelling(archive.model, version, [archive.version], f"in {root}/")
            there = ", ".join(f"{archive.model} {archive.version}" for archive in stored)
            raise ArchiveError(
                f"no version {version} in {root}/: there is {there}; make it with `make archive VERSION={version}`"
            )
        return chosen
    newest = list({archive.model: archive for archive in stored}.values())
    for archive in newest:
        check_spelling(archive.model, archive.version, versions(archive.model, root), f"in {root}/ too")
    return newest


def checked(archive: Archive) -> Archive:
    """The archive with its digest, if it is there and whole and holds the version that its file name says.

    TorchServe goes by the manifest inside: a renamed file would be registered as something else.

    Raises:
        ArchiveError: it is not so, its digest is not the one beside it, or its directory is not in order.
    """
    again = f"make it again with `make archive MODEL={archive.model} VERSION={archive.version}`"
    with mar.opened(archive.path, again) as file:
        digest, listed = sha256(archive.path), _listed(archive.path, again)
        if listed not in (None, digest):
            raise ArchiveError(
                f"{archive.path}: its SHA-256 is {digest[:12]}…, and {digest_file(archive.path).name} says "
                f"{str(listed)[:12]}…: the file was replaced or damaged since it was archived; {again}"
            )
        if listed is None and (damaged := file.testzip()) is not None:
            raise ArchiveError(f"{archive.path}: {damaged} in it is damaged; {again}")
        manifest = mar.manifest(file)
    inside = (manifest.get("modelName"), manifest.get("modelVersion"))
    if inside != (archive.model, archive.version):
        raise ArchiveError(f"{archive.path}: holds {inside[0]} {inside[1]}, not what its name says; {again}")
    return replace(archive, sha256=digest, listed=listed is not None)


def check_unchanged(*archives: Archive) -> None:
    """Check that archives are still the files that were checked: TorchServe opened them after that.

    Raises:
        ArchiveError: one was replaced meanwhile.
    """
    for archive in archives:
        try:
            digest = sha256(archive.path)
        except OSError as error:
            reason = f"gone while it was loaded ({error.strerror})"
            raise ArchiveError(f"{archive.path}: {reason}; run it again") from None
        if archive.sha256 not in ("", digest):
            raise ArchiveError(f"{archive.path}: replaced while it was loaded; run it again")


def unlisted(archive: Archive) -> str:
    """Return what to say of an archive without a digest beside it."""
    return (
        f"warning: {archive.path} has no {digest_file(archive.path).name} beside it, so nothing says who made it; "
        "`make archive` writes one"
    )


def _listed(path: Path, again: str) -> str | None:
    """Return the digest in the file beside an archive; None where there is no such file."""
    file = digest_file(path)
    try:
        text = documents.read(file, _DIGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{file}: cannot be read ({error.strerror}): let this user read it") from None
    except (DocumentError, UnicodeDecodeError):
        text = ""
    match = _DIGEST.fullmatch(text)
    if match is None or match["name"] != path.name:
        raise ArchiveError(f"{file}: not the digest of {path.name}, as sha256sum writes it; {again}")
    return match["digest"].lower()
