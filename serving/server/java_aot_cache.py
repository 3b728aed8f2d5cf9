"""Java's ahead-of-time cache of TorchServe, made by a rehearsal: TorchServe is recorded while it serves little.

Java otherwise reads TorchServe's classes from its jars at each start, and finds out by minutes of requests which of its
methods are worth compiling. The cache holds both (JEP 483, 514 and 515: https://openjdk.org/jeps/515), and every later
start begins with it. It changes how soon Java is fast, and nothing that it does: without it, or where Java does not
take it, all is as before.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from serving.errors import StartError, Unauthorized, Unreachable
from serving.runtime import atomic_files, processes
from serving.runtime.instance import free_ports
from serving.runtime.temp_folder import TempFolder
from serving.torchserve import executables, process, properties
from serving.torchserve.management import Management
from serving.torchserve.registrations import Registration
from serving.torchserve.tokens import FILE_NAME as KEY_FILE
from serving.torchserve.tokens import KeyFile

MODEL, VERSION = "rehearsal", "1.0"
# What the worker does: it answers, and that is all.
HANDLER = "def handle(data, context):\n    return [b'{}' for _ in data or ()]\n"
# Of the images that are sent: as a thumbnail, and as a photo, which Java handles in many pieces.
BODIES = (b"x" * 400, b"x" * 100_000)
CLIENTS, BATCH = 16, 8
LOAD_SECONDS = 8.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
# Java writes the cache when it ends, some seconds on a core.
END_SECONDS = 120.0


def make(say: Callable[[str], None]) -> Path | None:
    """Make the cache of this machine's Java, in the place of an older one; some 20 s.

    Args:
        say: is called with a line for each step.

    Returns:
        Where it lies; None where Java is too old for one.

    Raises:
        StartError, Refused: there is no Java or no TorchServe, it did not come up, or wrote no cache.
        OSError: the environment of Python cannot be written.
    """
    java = executables.java()
    cache = executables.java_cache(java)
    if cache is None:
        say(f"no rehearsal: it takes Java {executables.CACHING_JAVA} or newer, and {java} is not")
        return None
    cache.parent.mkdir(parents=True, exist_ok=True)
    temp = TempFolder(None)
    folder = temp.path
    try:
        draft = folder / cache.name
        _perform(folder, draft, say)
        shutil.copyfile(draft, beside := cache.with_name(f".{cache.name}.{os.getpid()}"))
        beside.replace(cache)
    finally:
        temp.remove()
    return cache


def _perform(folder: Path, cache: Path, say: Callable[[str], None]) -> None:
    ports = free_ports()
    registration = Registration(MODEL, VERSION, _archive(folder), 1, BATCH, 1)
    settings = (
        properties.load()
        | process.addresses(ports, ports.inference)
        | {
            "metrics_config": str(process.METRICS_CONFIG),
            "models": process.models([registration]),
            "model_store": str(folder),
        }
    )
    config = folder / "config.properties"
    atomic_files.write(config, properties.render(settings))
    command = process.command(config, settings, [registration], folder, recorded=cache)
    lines: list[str] = []
    say("rehearsing TorchServe, so that every later start is faster: some 20 s, once")
    child = processes.spawn(command, cwd=folder, env=process.environment(folder, 1), on_line=lines.append)
    keys = KeyFile(folder / KEY_FILE, ports.management)
    try:
        _await_ready(child.poll, Management(ports.management, keys), lines)
        _send(ports.inference, keys.token("inference"))
    finally:
        processes.end(child, patience=END_SECONDS)
    if not cache.is_file():
        raise StartError(f"Java wrote no cache: {lines[-1] if lines else 'it said nothing'}")


def _await_ready(ended: Callable[[], int | None], management: Management, lines: list[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and ended() is None:
        with contextlib.suppress(Unauthorized, Unreachable):  # it has not written its tokens yet, or does not listen
            management.await_ready(MODEL, VERSION, READY_SECONDS, failure=lambda: _failure(ended, lines))
            return
        time.sleep(POLL_SECONDS)
    raise StartError(f"TorchServe did not come up: {lines[-1] if lines else 'it said nothing'}")


def _failure(ended: Callable[[], int | None], lines: list[str]) -> str | None:
    """Why there is nothing to wait for any more."""
    reader = process.LogReader()
    for line in list(lines):
        reader.feed(line)
    return (reader.error or lines[-1]) if ended() is not None or reader.failed else None


def _send(port: int, token: str) -> None:
    """Ask for some seconds, on several connections at once; what is answered does not matter."""
    until = time.monotonic() + LOAD_SECONDS
    headers = {"Content-Type": "application/octet-stream", "Authorization": f"Bearer {token}"}

    def client(body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=END_SECONDS)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            while time.monotonic() < until:
                connection.request("POST", f"/predictions/{MODEL}", body, headers)
                connection.getresponse().read()

    clients = [threading.Thread(target=client, args=(BODIES[place % len(BODIES)],)) for place in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()


def _archive(folder: Path) -> str:
    """A .mar that holds the handler alone; returns its name."""
    manifest = {"model": {"modelName": MODEL, "modelVersion": VERSION, "handler": "handler.py"}, "runtime": "python"}
    with zipfile.ZipFile(folder / f"{MODEL}.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("handler.py", HANDLER)
    return f"{MODEL}.mar"
