"""A virtual environment for each peer, so that no peer changes the versions of another."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.systems.peer import Peer

logger = logging.getLogger(__name__)

# A complete environment has this file, with its requirements.
REQUIREMENTS_FILE = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A peer that cannot be installed here, and the error of pip."""

    name: str
    error: str


def create(peer: Peer, root: Path) -> Path | Unavailable:
    """Return the Python of the peer's environment in `root`. Create the environment if its requirements have changed.

    pip is used as it is configured on this machine. The peer sees nothing of this project's own environment.
    """
    folder = root / peer.name
    python, installed = folder / "bin" / "python", folder / REQUIREMENTS_FILE
    requirements = "".join(f"{line}\n" for line in peer.requirements)
    if installed.is_file() and installed.read_text(encoding="utf-8") == requirements:
        return python
    logger.info("installing %s", peer.name)
    installed.unlink(missing_ok=True)
    for command in (
        (sys.executable, "-m", "venv", "--clear", str(folder)),
        (str(python), "-m", "pip", "install", "--quiet", "--no-input", *peer.requirements),
    ):
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode != 0:
            return Unavailable(peer.name, _error(process.stderr or process.stdout))
    installed.write_text(requirements, encoding="utf-8")
    return python


def _error(output: str) -> str:
    """Return pip's error: its lines that begin with ERROR, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " ".join([line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no output"])
