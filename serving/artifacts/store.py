"""The model store: the folder of `<model>-<version>.mar` files that TorchServe loads from.

`make archive` writes `<model>-<version>.mar.sha256` beside each: an archive that was replaced or damaged since is
refused. An archive of another tool has no such file, which is only a warning.
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
    """A .mar in the store, with the model and version of its file name.

    Attributes:
        sha256: digest of the file, after it was checked; empty before.
        listed: True if the .sha256 file beside it has this digest.
    """

    path: Path
    model: str
    version: str
    sha256: str = ""
    listed: bool = False


def path_of(model: str, version: str, root: Path = ROOT) -> Path:
    """Return the path of the .mar of a version."""
    return root / f"{checked_name(model)}-{checked_version(version)}.mar"


def digest_file(path: Path) -> Path:
    """Return the path of the digest file of a .mar."""
    return path.with_name(f"{path.name}.sha256")


def archives(root: Path = ROOT) -> list[Archive]:
    """Return the archives in the store by model, oldest version first, without files of other names."""
    stored = []
    for path in root.glob("*.mar"):
        match = _FILE.fullmatch(path.name)
        if match:
            stored.append(Archive(path, match["model"], match["version"]))
    return sorted(stored, key=lambda archive: (archive.model, version_key(archive.version), archive.version))


def versions(model: str, root: Path = ROOT) -> list[str]:
    """Return the versions of a model that the store has, oldest first."""
    return in_order(archive.version for archive in archives(root) if archive.model == model)


def choose(model: str | None, version: str | None, root: Path = ROOT) -> list[Archive]:
    """Return the archives to serve: `version` or the newest of `model`; without a model, the newest of every model.

    Raises:
        ArchiveError: there is no such archive; the message lists the archives.
        ReleaseError: the store has the version in another spelling, or the newest one in two.
    """
    stored = archives(root)
    if model is not None:
        stored = [archive for archive in stored if archive.model == model]
    if not stored:
        which = f"of {model!r} " if model else ""
        raise ArchiveError(
            f"no .mar {which}in {root}/: make one with `torchlight archive{f' --model {model}' if model else ''}`"
        )
    if version is not None:
        chosen = [archive for archive in stored if archive.version == checked_version(version)]
        if not chosen:
            for archive in stored:
                check_spelling(archive.model, version, [archive.version], f"in {root}/")
            there = ", ".join(f"{archive.model} {archive.version}" for archive in stored)
            raise ArchiveError(
                f"no version {version} in {root}/: there is {there}; "
                f"make it with `torchlight archive --version {version}`"
            )
        return chosen
    newest = list({archive.model: archive for archive in stored}.values())
    for archive in newest:
        check_spelling(archive.model, archive.version, versions(archive.model, root), f"in {root}/ too")
    return newest


def checked(archive: Archive) -> Archive:
    """Check an archive, and return it with its digest.

    TorchServe uses the manifest inside: a renamed file would be registered under another name.

    Raises:
        ArchiveError: it is missing, damaged or has another digest than the file beside it, its zip directory is
            invalid, or it contains another version than its file name says.
    """
    again = f"make it again with `torchlight archive --model {archive.model} --version {archive.version}`"
    with mar.opened(archive.path, again) as file:
        digest, listed = sha256(archive.path), _listed(archive.path, again)
        if listed not in (None, digest):
            raise ArchiveError(
                f"{archive.path}: its SHA-256 is {digest[:12]}…, and {digest_file(archive.path).name} says "
                f"{str(listed)[:12]}…: the file was replaced or damaged since it was archived; {again}"
            )
        if listed is None and (damaged := file.testzip()) is not None:
            raise ArchiveError(f"{archive.path}: its member {damaged} is damaged; {again}")
        manifest = mar.manifest(file)
    inside = (manifest.get("modelName"), manifest.get("modelVersion"))
    if inside != (archive.model, archive.version):
        raise ArchiveError(f"{archive.path}: contains {inside[0]} {inside[1]}, not what its name says; {again}")
    return replace(archive, sha256=digest, listed=listed is not None)


def check_unchanged(*archives: Archive) -> None:
    """Check that archives have not changed since they were checked: TorchServe opened them after that.

    Raises:
        ArchiveError: one was replaced in the meantime.
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
    """Return the warning about an archive without a digest file."""
    return (
        f"warning: {archive.path} has no {digest_file(archive.path).name} beside it, so damage cannot be detected; "
        "`torchlight archive` writes one"
    )


def _listed(path: Path, again: str) -> str | None:
    """Return the digest in the file beside an archive; None if there is no such file."""
    file = digest_file(path)
    try:
        text = documents.read(file, _DIGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{file}: cannot be read ({error.strerror}): give this user read access") from None
    except (DocumentError, UnicodeDecodeError):
        text = ""
    match = _DIGEST.fullmatch(text)
    if match is None or match["name"] != path.name:
        raise ArchiveError(f"{file}: not the digest of {path.name}, as sha256sum writes it; {again}")
    return match["digest"].lower()
