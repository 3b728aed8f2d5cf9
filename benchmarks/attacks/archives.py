"""Replaced archives in the model store, and hostile cards in a release."""

from __future__ import annotations

import shutil
import time
import zipfile
from pathlib import Path

from benchmarks.attacks.finding import Finding
from serving.artifacts import store
from tests.support.server import free_port, run

HANDLER = "handlers/pipeline.py"


def serve_replaced_code(workspace: Path, folder: Path) -> Finding:
    """Change the handler's code in a .mar, and serve it."""
    shutil.copytree(workspace / "model_store", folder / "model_store")
    path = store.path_of("digits", "1.0", folder / "model_store")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[HANDLER] += b"\n# replaced\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    process = run(folder, "scripts.serve", "--foreground", "--port", str(free_port()))
    refused = process.returncode != 0 and "sha256" in process.stderr
    measured = "the server " + ("refused it" if refused else f"served it: {process.stderr[-200:]}")
    return Finding("a .mar with replaced code", measured, refused)


def read_bombs(workspace: Path, folder: Path) -> Finding:
    """Archive releases whose card is a bomb of YAML aliases, has 50 MB, or is deeply nested."""
    lists = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(12))
    seconds, refused = 0.0, 0
    for number, card in enumerate((lists, "name: " + "x" * 50_000_000, "[" * 100_000)):
        target = folder / str(number)
        shutil.copytree(workspace / "releases", target / "releases")
        (target / "releases" / "digits" / "1.0" / "card.yaml").write_text(card, encoding="utf-8")
        start = time.monotonic()
        process = run(target, "scripts.archive", "--model", "digits", "--version", "1.0")
        seconds = max(seconds, time.monotonic() - start)
        refused += (
            process.returncode == 1 and process.stderr.startswith("error: ") and "Traceback" not in process.stderr
        )
    measured = (
        f"3 cards (aliases, 50 MB, 100,000 brackets): {refused} refused with an error message, "
        f"in {seconds:.1f} s at most"
    )
    return Finding("cards that expand when they are parsed", measured, refused == 3)
