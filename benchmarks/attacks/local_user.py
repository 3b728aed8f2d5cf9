"""Attacks by another user of the machine, or by a web page in the user's browser, on a server in development mode."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import requests

from benchmarks.attacks.finding import Finding
from serving.runtime.instance import Instance, Ports
from tests.support.server import Server, run

# Calls of the management API by a user who cannot read the server's keys. Each loads code, or changes what is served.
MANAGEMENT = (
    ("POST", "/models?url={folder}"),
    ("POST", "/models?url=digits-1.0.mar&model_name=evil&synchronous=true"),
    ("DELETE", "/models/digits/1.0"),
    ("PUT", "/models/digits?min_worker=0&max_worker=0"),
    ("PUT", "/models/digits/1.0/set-default"),
    ("GET", "/models"),
    ("POST", "/workflows?url={folder}"),
    ("GET", "/token?type=management"),
)
PAGE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def attack_management(server: Server, folder: Path) -> Finding:
    """Call the API without a token, and with a wrong one."""
    statuses = []
    for method, path in MANAGEMENT:
        for headers in ({}, {"Authorization": "Bearer guessed"}):
            url = server.management + path.format(folder=folder)
            statuses.append(requests.request(method, url, headers=headers, timeout=30).status_code)
    answered = sum(status < 400 for status in statuses)
    measured = f"{len(statuses)} calls without a valid token: {answered} were executed"
    return Finding("management API called by another local user", measured, answered == 0)


def attack_from_a_page(server: Server, image: bytes) -> Finding:
    """Send an image as a page of another origin would send it."""
    urls = (f"{server.url}/predictions/digits", f"{server.url}/invocations", f"{server.direct}/predictions/digits/1.0")
    statuses = [requests.post(url, data=image, headers=PAGE, timeout=30).status_code for url in urls]
    answered = sum(status < 400 for status in statuses)
    measured = f"{len(statuses)} images from a page of another origin: {answered} were classified"
    return Finding("cross-site requests from a browser on this machine", measured, answered == 0)


def look_at_files(server: Server) -> Finding:
    """Count the files and folders of the server that other users can open."""
    root = server.instance.folder.parent
    paths = [root, *root.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()}
    open_to_others = [path for path, mode in modes.items() if mode & 0o077]
    measured = f"{len(modes)} files and folders: other users can open {len(open_to_others)}"
    return Finding("permissions of the server's folder", measured, not open_to_others)


def stop_by_a_forged_status(folder: Path, ports: Ports) -> Finding:
    """Give `make stop` the id of a process that is not a server."""
    instance = Instance(ports, folder / ".run")
    instance.folder.mkdir(parents=True, mode=0o700)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    status = {"state": "ready", "message": "", "pid": bystander.pid, "temp": str(folder)}
    (instance.folder / "status.json").write_text(repr(status).replace("'", '"'), encoding="utf-8")
    with (instance.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(folder, "scripts.stop", "--port", str(ports.public))
    alive = bystander.poll() is None
    if alive:
        os.kill(bystander.pid, signal.SIGKILL)
    bystander.wait()
    measured = "the process named in the file was " + ("not stopped" if alive else "stopped")
    return Finding("`make stop` with a forged status.json", measured, alive)
