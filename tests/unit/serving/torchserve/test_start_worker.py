"""The script that starts workers: it passes everything on as Python would, and imports at a low priority."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handlers import torchserve_handler
from serving.torchserve import start_worker
from serving.torchserve.start_worker import LOADING_NICENESS, WORKER

# Prints its arguments, its name, the folder that Python searches first, and the niceness of both threads.
PROGRAM = """
import os, sys
import noted
assert sys.modules["__main__"].__dict__ is globals()
print(sys.argv[1:], __name__, sys.path[0], os.getpriority(os.PRIO_PROCESS, 0), noted.niceness)
"""
NOTED = """
import os, threading
niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
"""


def run(script: Path, program: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(program.parent)}
    command = [str(script), str(program), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=check)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name needs quotes, with a worker's program and a module that it imports."""
    folder = tmp_path / "it's a folder"
    (folder / "handlers").mkdir(parents=True)
    (folder / "handlers" / "__init__.py").touch()
    # The module that start_worker imports first brings the other one with it.
    (folder / "handlers" / "pipeline.py").write_text("import noted")
    (folder / "noted.py").write_text(NOTED)
    (folder / WORKER).write_text(PROGRAM)
    (folder / "other.py").write_text(PROGRAM)
    return folder


def test_worker_imports_at_low_priority_and_runs_with_its_own(folder: Path) -> None:
    script, own = start_worker.write(folder), os.getpriority(os.PRIO_PROCESS, 0)
    printed = run(script, folder / WORKER, "--sock-name", "a b").stdout.strip()
    assert printed == f"{['--sock-name', 'a b']} __main__ {folder} {own} {max(own, LOADING_NICENESS)}"


def test_other_programs_run_as_they_would(folder: Path) -> None:
    script, own = start_worker.write(folder), os.getpriority(os.PRIO_PROCESS, 0)
    assert run(script, folder / "other.py", "-x").stdout.strip() == f"['-x'] __main__ {folder} {own} {own}"
    version = subprocess.run([script, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
    assert version.stdout.strip() == sys.executable


def test_import_that_fails_is_told_by_the_worker_itself(folder: Path) -> None:
    (folder / "noted.py").write_text("raise RuntimeError('damaged')")
    finished = run(start_worker.write(folder), folder / WORKER, check=False)
    assert finished.returncode != 0
    assert finished.stderr.count("RuntimeError: damaged") == 1


def test_handler_loads_at_the_same_niceness() -> None:
    assert torchserve_handler.LOADING_NICENESS == LOADING_NICENESS
