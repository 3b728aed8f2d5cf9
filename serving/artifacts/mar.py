"""Reading of .mar files: the zip directory is checked before anything is unpacked.

TorchServe unpacks any archive. It reads the local headers in sequence, and Python reads the directory at the end. Both
must list the same members, or Python would check other files than TorchServe runs.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models import documents
from models.documents import DocumentError
from serving.errors import ArchiveError

MANIFEST = "MAR-INF/MANIFEST.json"
MAX_MEMBERS = 20_000
# Limit for the bytes of all members together: ALLOWANCE, plus RATIO times the size of the file. Weights hardly shrink.
ALLOWANCE = 100_000_000
RATIO = 20
AGAIN = "make it again with `torchlight archive`"

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DESCRIPTORS = (12, 16, 20, 24)
_IN_EXTRA_FIELD = 0xFFFFFFFF


@contextmanager
def opened(path: Path, again: str = AGAIN) -> Iterator[zipfile.ZipFile]:
    """Open a .mar after its directory is checked.

    Args:
        again: remedy in messages: the command that makes the file again.

    Raises:
        ArchiveError: the file is missing, is not a complete zip file, or has a forbidden member.
    """
    try:
        with zipfile.ZipFile(path) as mar:
            if (fault := _fault(mar, path.stat().st_size)) is not None:
                raise ArchiveError(f"{path}: {fault}; {again}")
            yield mar
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such archive; {again}") from None
    except PermissionError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}): check its owner and mode") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, struct.error) as error:
        raise ArchiveError(f"{path}: not a complete .mar ({error}); {again}") from None


def read(mar: zipfile.ZipFile, name: str, max_bytes: int = documents.MAX_BYTES) -> bytes:
    """Return the content of a member of at most `max_bytes`.

    Raises:
        ArchiveError: there is no such member, or it is larger.
    """
    try:
        member = mar.getinfo(name)
    except KeyError:
        raise ArchiveError(f"{mar.filename}: it has no member {name}; {AGAIN}") from None
    try:
        documents.check_size(member.file_size, f"{mar.filename}: {name}", max_bytes)
    except DocumentError as error:
        raise ArchiveError(str(error)) from None
    return mar.read(member)


def manifest(mar: zipfile.ZipFile) -> dict[str, Any]:
    """Return the manifest's entry on the model.

    Raises:
        ArchiveError: there is no manifest, or it does not name a model.
    """
    try:
        document = documents.parse_json(read(mar, MANIFEST), f"{mar.filename}: {MANIFEST}")
    except DocumentError as error:
        raise ArchiveError(f"{error}; {AGAIN}") from None
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise ArchiveError(f"{mar.filename}: {MANIFEST} does not name a model; {AGAIN}")
    return model


def _fault(mar: zipfile.ZipFile, size: int) -> str | None:
    """Return the first problem of the members in the archive's directory, or None."""
    members = mar.infolist()
    if len(members) > MAX_MEMBERS:
        return f"it has {len(members):,} members, more than {MAX_MEMBERS:,}, the limit"
    unpacked, limit = sum(member.file_size for member in members), ALLOWANCE + RATIO * size
    if unpacked > limit:
        return f"it would unpack to {unpacked:,} bytes, more than {limit:,}, the limit for a file of {size:,} bytes"
    paths: set[str] = set()
    for member in members:
        name = member.filename
        path = name.removesuffix("/")
        if not path or re.search(r"[\x00-\x1f\x7f\\:]", member.orig_filename) or {"", ".", ".."} & {*path.split("/")}:
            return f"the name of its member {name!r:.80} could lead out of its folder"
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            return f"its member {name!r:.80} is a link or a device"
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"its member {name!r:.80} is encrypted, or compressed in a way that TorchServe cannot read"
        if path in paths:
            return f"it has two members of the name {name!r:.80}"
        paths.add(path)
    return _hidden(mar, members)


def _hidden(mar: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> str | None:
    """Return a fault if the file has more bytes than the directory lists: TorchServe could read other members there."""
    file = mar.fp
    assert file is not None
    fault = "it holds bytes that its directory does not list"
    ends = {0}
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset not in ends:
            return fault
        file.seek(member.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        flags, packed, name_length, extra_length = header[2], header[7], header[9], header[10]
        streamed = bool(flags & 8)
        if not streamed and packed not in (member.compress_size, _IN_EXTRA_FIELD):
            return fault
        end = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length + member.compress_size
        ends = {end + length for length in _DESCRIPTORS} if streamed else {end}
    return None if mar.start_dir in ends else fault
