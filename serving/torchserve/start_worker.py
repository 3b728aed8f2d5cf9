"""Start of a TorchServe worker that leaves the processor to the workers that answer.

TorchServe runs this file instead of Python (its option `--python`; `write` makes the script). A worker that starts
takes seconds of processor time, most of it to import torch. A version that loads beside a busy one would otherwise make
clients wait, and fill the queues.

Linux has a niceness for each thread (setpriority(2)), and an unprivileged process cannot lower it again. So a thread
with a high niceness imports all modules, and the main thread, which answers later, keeps its own.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import threading
from contextlib import suppress
from pathlib import Path

# The program that TorchServe starts for each worker.
WORKER = "model_service_worker.py"
# What a worker imports: its program, and the code of our archives, which lies in its folder. An archive of others may
# lack the second.
MODULES = ("ts.model_service_worker", "handlers.pipeline")
# The niceness of loading, here and in handlers/torchserve_handler.py. A thread with 10 gets a tenth of a busy core, so
# a worker that replaces a dead one on a busy machine starts late, but in time for TorchServe.
LOADING_NICENESS = 10
FILE_NAME = "python"


def write(folder: Path) -> Path:
    """Write the script that TorchServe runs as its Python into a folder, and return its path.

    A script of two lines, because a path after `#!` may be too long for Linux (execve(2)) or have spaces.

    Raises:
        OSError: it cannot be written.
    """
    script = folder / FILE_NAME
    python, starter = (_quoted(path) for path in (sys.executable, str(Path(__file__).resolve())))
    script.write_text(
        f'#!/bin/sh\ncase "$1" in */{WORKER}) exec {python} {starter} "$@" ;; *) exec {python} "$@" ;; esac\n',
        encoding="utf-8",
    )
    script.chmod(0o700)
    return script


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"


def _import() -> None:
    thread = threading.get_native_id()
    # A process that was started at a higher niceness may not lower it.
    niceness = max(LOADING_NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
    os.setpriority(os.PRIO_PROCESS, thread, niceness)
    for name in MODULES:
        with suppress(Exception):  # the worker meets it again, and says so
            importlib.import_module(name)


def main() -> None:
    """Import the modules at low priority, then run the worker's program as Python would."""
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    thread = threading.Thread(target=_import, name="import")
    thread.start()
    thread.join()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
