"""A virtual environment for each peer, so that none gets another's versions."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.systems.peer import Peer

logger = logging.getLogger(__name__)

# In an environment that is complete: the requirements it was made for.
DONE = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A peer that cannot be installed here, and the installer's own words."""

    name: str
    error: str


def make(peer: Peer, root: Path) -> Path | Unavailable:
    """The Python of the peer's environment in `root`, made now unless it is there with the same requirements.

    pip is used as it is set up on this machine; nothing of this project's own environment is seen in it.
    """
    folder = root / peer.name
    python, done = folder / "bin" / "python", folder / DONE
    wanted = "".join(f"{line}\n" for line in peer.requirements)
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    logger.info("installing %s", peer.name)
    done.unlink(missing_ok=True)
    for command in (
        (sys.executable, "-m", "venv", "--clear", str(folder)),
        (str(python), "-m", "pip", "install", "--quiet", "--no-input", *peer.requirements),
    ):
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode != 0:
            return Unavailable(peer.name, _error(ended.stderr or ended.stdout))
    done.write_text(wanted, encoding="utf-8")
    return python


def _error(output: str) -> str:
    """What pip says went wrong: its lines that begin with ERROR, else its last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " ".join([line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["it said nothing"])
