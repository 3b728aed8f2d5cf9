"""Java's ahead-of-time (AOT) cache of TorchServe, recorded while TorchServe serves for a few seconds.

Without it, Java reads TorchServe's classes from its jars at each start, and needs minutes of requests to find the
methods that are worth compiling. The cache holds both (JEP 483, 514 and 515: https://openjdk.org/jeps/515). It only
changes how soon Java is fast. If it is missing, or Java does not accept it, everything else works as before.
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

MODEL, VERSION = "recording", "1.0"
# The worker's code: it only answers.
HANDLER = "def handle(data, context):\n    return [b'{}' for _ in data or ()]\n"
# Bodies with the sizes of a thumbnail and of a photo, which Java handles in many pieces.
BODIES = (b"x" * 400, b"x" * 100_000)
CLIENTS, BATCH = 16, 8
LOAD_SECONDS = 8.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
# Java writes the cache when it ends, which takes some seconds on one core.
END_SECONDS = 120.0


def make(log: Callable[[str], None]) -> Path | None:
    """Make the AOT cache of this machine's Java, or replace it, in about 20 s.

    Args:
        log: called with a line for each step.

    Returns:
        The path of the cache, or None if Java is too old to have one.

    Raises:
        StartError, Refused: Java or TorchServe is missing, TorchServe did not start, or Java wrote no cache.
        OSError: the environment of Python cannot be written.
    """
    java = executables.java()
    cache = executables.java_cache(java)
    if cache is None:
        log(f"no Java AOT cache: it needs Java {executables.CACHING_JAVA} or newer, and {java} is older")
        return None
    cache.parent.mkdir(parents=True, exist_ok=True)
    temp = TempFolder(None)
    folder = temp.path
    try:
        draft = folder / cache.name
        _record(folder, draft, log)
        shutil.copyfile(draft, copy := cache.with_name(f".{cache.name}.{os.getpid()}"))
        copy.replace(cache)
    finally:
        temp.remove()
    return cache


def _record(folder: Path, cache: Path, log: Callable[[str], None]) -> None:
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
    log("making the Java AOT cache, so that every later start is faster: about 20 s, once")
    child = processes.spawn(command, cwd=folder, env=process.environment(folder, 1), on_line=lines.append)
    keys = KeyFile(folder / KEY_FILE, ports.management)
    try:
        _await_ready(child.poll, Management(ports.management, keys), lines)
        _send(ports.inference, keys.token("inference"))
    finally:
        processes.end(child, patience=END_SECONDS)
    if not cache.is_file():
        raise StartError(f"Java wrote no cache: {lines[-1] if lines else 'it printed nothing'}")


def _await_ready(ended: Callable[[], int | None], management: Management, lines: list[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and ended() is None:
        with contextlib.suppress(Unauthorized, Unreachable):  # TorchServe has no tokens yet, or does not listen
            management.await_ready(MODEL, VERSION, READY_SECONDS, failure=lambda: _failure(ended, lines))
            return
        time.sleep(POLL_SECONDS)
    raise StartError(f"TorchServe did not start: {lines[-1] if lines else 'it printed nothing'}")


def _failure(ended: Callable[[], int | None], lines: list[str]) -> str | None:
    """Return why TorchServe has failed, or None if it has not."""
    reader = process.LogReader()
    for line in list(lines):
        reader.feed(line)
    return (reader.error or lines[-1]) if ended() is not None or reader.failed else None


def _send(port: int, token: str) -> None:
    """Send requests for LOAD_SECONDS on several connections at once. Their responses are ignored."""
    end = time.monotonic() + LOAD_SECONDS
    headers = {"Content-Type": "application/octet-stream", "Authorization": f"Bearer {token}"}

    def client(body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=END_SECONDS)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            while time.monotonic() < end:
                connection.request("POST", f"/predictions/{MODEL}", body, headers)
                connection.getresponse().read()

    clients = [threading.Thread(target=client, args=(BODIES[number % len(BODIES)],)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()


def _archive(folder: Path) -> str:
    """Make a .mar with the handler alone, and return its name."""
    manifest = {"model": {"modelName": MODEL, "modelVersion": VERSION, "handler": "handler.py"}, "runtime": "python"}
    with zipfile.ZipFile(folder / f"{MODEL}.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("handler.py", HANDLER)
    return f"{MODEL}.mar"
