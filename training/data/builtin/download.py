"""A file from the internet: resumed where it broke off, and checked before it gets its name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO, Never

import requests
import urllib3
from tqdm import tqdm

from training.data.dataset import DataError

# Broken connections in a row, without a byte more than before, until it is given up.
ATTEMPTS = 5
# Seconds before the second attempt; twice as many before each further one.
PAUSE = 1.0
# Seconds to connect, and between two pieces.
TIMEOUT = 20
PIECE = 1 << 18


class _Failed(Exception):
    """The download failed for good."""


class _Broken(_Failed):
    """The download failed for now: a later attempt may succeed."""


def fetch(url: str, path: Path, checksum: str, size: int) -> None:
    """Download `url` to `path`, if it does not exist. An incomplete download stays in `<path>.part`.

    Two processes may ask for the same file: one fetches it, and the other waits.

    Args:
        checksum: such as "md5:<hexadecimal>" or "sha256:<hexadecimal>".
        size: in bytes.

    Raises:
        DataError: no connection, a server that will not give the file, a full disk, or not the file it should be.
    """
    if path.exists():
        _verify(path, checksum, f"{path} is not the file from {url}: remove it to download it anew")
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():  # another process was faster
                part.unlink(missing_ok=True)
                return
            file.seek(0, os.SEEK_END)
            _complete(url, file, size)
            _verify(part, checksum, f"what came from {url} is not the file it should be and was removed: try again")
            part.rename(path)
    except _Failed as error:
        raise DataError(
            f"{url} cannot be downloaded: {error}. Try again later, or download it yourself and put it at {path}"
        ) from None
    except DataError:
        part.unlink()
        raise
    except OSError as error:
        raise DataError(
            f"{part} cannot be written: {error.strerror}. The whole needs {size:,} bytes; what has come is kept"
        ) from None


def _complete(url: str, file: BinaryIO, size: int) -> None:
    """Request parts until the file is complete."""
    if file.tell() > size:
        _empty(file)
    best, failures = file.tell(), 0
    with tqdm(
        total=size,
        initial=best,
        desc="download",
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=None,
        leave=False,
    ) as bar:
        while file.tell() < size:
            try:
                _ask(url, file, size, bar)
            except (_Broken, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                # A server that cannot resume begins anew each time: only what goes beyond all before is progress.
                failures = 1 if file.tell() > best else failures + 1
                best = max(best, file.tell())
                if failures == ATTEMPTS:
                    raise _Broken(_why(error)) from None
                pause = PAUSE * 2 ** (failures - 1)
                tqdm.write(f"{_why(error)} at {file.tell():,} bytes: again in {pause:.0f} s", file=sys.stderr)
                time.sleep(pause)


def _ask(url: str, file: BinaryIO, size: int, bar: tqdm[Never]) -> None:
    """Request the missing part (RFC 9110, section 14)."""
    have = file.tell()
    # identity: the checksum is of these bytes, without compression by the server.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        status = f"the server answers {answer.status_code} {answer.reason}"
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise _Broken(status)
        if answer.status_code not in (200, 206, 416):
            raise _Failed(status)
        offered = answer.headers.get("Content-Range", "")
        resumed = answer.status_code == 206 and offered.startswith(f"bytes {have}-")
        total = offered.rpartition("/")[2] if resumed else answer.headers.get("Content-Length", "")
        if (resumed or answer.status_code == 200) and total.isdecimal() and int(total) != size:
            raise _Failed(f"the server has {int(total):,} bytes, not {size:,}")
        if not resumed:
            _empty(file)
            bar.reset()
            if answer.status_code != 200:
                raise _Broken("the server gave another part than the one that was asked for")
        for piece in answer.raw.stream(PIECE, decode_content=False):
            bar.update(file.write(piece))
            file.flush()
            if file.tell() > size:
                _empty(file)
                raise _Failed(f"the server gives more than {size:,} bytes")
    if file.tell() < size:
        raise _Broken(f"the server gave {file.tell():,} bytes of {size:,}")


def _empty(file: BinaryIO) -> None:
    file.truncate(0)
    file.seek(0)


def _verify(path: Path, checksum: str, otherwise: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    if actual != expected:
        raise DataError(f"{otherwise} (its {algorithm} is {actual}, not {expected})")


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, _Broken) else f"no connection, or a broken one ({type(error).__name__})"
