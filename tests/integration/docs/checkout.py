"""A copy of the repository in which the commands of a page run, as in a reader's own clone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from scripts.setup import LAUNCHER
from tests.support.pages import Block
from tests.support.server import REPOSITORY, environment, free_port

COPIED = (
    "benchmarks", "clients", "deploy", "docs", "handlers", "models", "samples", "scripts", "serving", "tests",
    "training", "LICENSE", "Makefile", "config.properties", "constraints.txt", "pyproject.toml",
)  # fmt: skip
# The port that pages name, and its metrics port.
DEFAULT_PORT = 8080
SECONDS = 300
# A block whose first line is such a comment shows the content of that file.
FILE_COMMENT = re.compile(r"# ([\w./-]+\.(?:py|yaml))\n")
# The reader's own images: classes of the digits, and the number of images of each.
PHOTOS = {"zero": 0, "one": 1, "two": 2}
PHOTOS_EACH = 40


class Checkout:
    """A copy of the repository with the reader's folder `photos`, and the port of its server.

    Args:
        folder: an empty folder for the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            elif source.exists():
                shutil.copy(source, folder / name)
        (folder / ".venv" / "bin").mkdir(parents=True)
        _write_program(folder / ".venv" / "bin" / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        _write_program(folder / ".venv" / "bin" / "torchlight", LAUNCHER.format(python=sys.executable))
        write_photos(folder / "photos")

    def runs(self) -> bool:
        """Return whether the server of this checkout runs."""
        return self.run("make models > /dev/null 2>&1").returncode == 0

    def clear(self) -> None:
        """Stop the server, and forget it and every archive but that of the example."""
        self.run("make stop")
        shutil.rmtree(self.folder / ".run", ignore_errors=True)
        for path in (self.folder / "model_store").glob("*.mar*"):
            if not path.name.startswith("digits-1.0.mar"):
                path.unlink()

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run shell commands of a page; its port is replaced by that of this checkout. All output is in `stdout`."""
        for offset in (0, 2):
            code = code.replace(str(DEFAULT_PORT + offset), str(self.port + offset))
        variables = environment(self.folder / "tmp", PORT=str(self.port), PYTHON="true", CURL_HOME=str(self.folder))
        del variables["PYTHONPATH"]  # so that the copy is imported, and not the repository
        (self.folder / ".curlrc").write_text("silent\nshow-error\n")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    def write(self, block: Block) -> None:
        """Write the file that a block shows; the first line of the block names it."""
        match = FILE_COMMENT.match(block.code)
        assert match is not None, f"{block.name}: the first line must be a comment with the name of a file"
        path = self.folder / match[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")


def _write_program(path: Path, content: str) -> None:
    """Write a program of .venv/bin. It runs the Python of this test, with the modules of the copy."""
    path.write_text(content)
    path.chmod(0o755)


def write_photos(folder: Path, classes: Sequence[str] = tuple(PHOTOS)) -> None:
    """Write small images of handwritten digits, in one folder for each class."""
    digits = load_digits()
    for label in classes:
        (folder / label).mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == PHOTOS[label]][:PHOTOS_EACH]):
            pixels = Image.fromarray((255 - image * 15.9).astype(np.uint8)).resize((32, 32))
            pixels.save(folder / label / f"{number}.png")
