"""A Docker of the tests' own: engine, base image and wheels, made on a bare Debian and kept for the next run.

No image is pulled. The engine and debootstrap come from the machine's own package sources, which also say where the
base image's packages come from; the wheels come from wherever its pip finds them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker

from scripts.maintenance import wheelhouse

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = "torchlight-test-base:bookworm"
# An address range of documentation (RFC 5737): no network that is really there has it.
BRIDGE_ADDRESS = "198.51.100.1/24"
# Programs, each with the package that has it.
ENGINE = {"dockerd": "docker.io", "debootstrap": "debootstrap", "ip": "iproute2"}


def cache() -> Path:
    """Return the folder for files that are expensive to make."""
    default = Path(tempfile.gettempdir()) / "torchlight-test-cache"
    folder = Path(os.environ.get("TORCHLIGHT_TEST_CACHE", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def install(programs: Mapping[str, str] = ENGINE) -> None:
    """Install programs that are missing; `programs` maps each to the package of Debian's that has it."""
    missing = [package for program, package in programs.items() if shutil.which(program, path=_path()) is None]
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=240"]  # another test process may install at the same time
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            run(["apt-get", "-qq", *wait, *arguments], env=environment, timeout=300)


def wheels() -> Path:
    """A wheelhouse that fits pyproject.toml and constraints.txt."""
    folder, stamp = cache() / "wheelhouse", cache() / "wheelhouse.stamp"
    wanted = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        wanted.update((REPOSITORY / name).read_bytes())
    if not stamp.exists() or stamp.read_text() != wanted.hexdigest():
        wheelhouse.collect(folder)
        stamp.write_text(wanted.hexdigest())
    return folder


def context(folder: Path, *, wheels: Path | None = None) -> Path:
    """Copy the build context of the image to `folder`, to which a wheelhouse can be added."""
    parts = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for part in ("Dockerfile", ".dockerignore", *(line[1:] for line in parts if line.startswith("!"))):
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if part == "wheelhouse":
            shutil.copytree(wheels, target) if wheels else target.mkdir()
        elif source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


class Engine:
    """dockerd with its own data, socket and bridge, for a `with` block; the machine's firewall is left alone."""

    def __init__(self) -> None:
        self._run = Path(tempfile.mkdtemp(prefix="tl-", dir="/tmp"))  # sockets have short paths
        self._bridge = f"tl-{os.getpid()}"
        self._log = cache() / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._run}/docker.sock"

    def __enter__(self) -> Engine:
        self._lock = (cache() / "lock").open("w")  # data and addresses are those of one run at a time
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for left in _bridges_of_killed_runs():  # theirs would be the older route to the same addresses
            run(["ip", "link", "delete", left])
        run(["ip", "link", "add", self._bridge, "type", "bridge"])
        run(["ip", "address", "add", BRIDGE_ADDRESS, "dev", self._bridge])
        run(["ip", "link", "set", self._bridge, "up"])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--host", self.url, "--pidfile", self._run / "pid", "--exec-root", self._run / "exec"),
                    *("--data-root", cache() / "docker", "--bridge", self._bridge),
                    *("--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": _path()},
                start_new_session=True,
            )
        try:
            client = self._await_answer()
        except BaseException:
            self.__exit__()
            raise
        for container in client.containers.list(all=True):  # of a run that was killed
            container.remove(force=True)
        for volume in client.volumes.list():
            volume.remove(force=True)
        client.close()
        return self

    def _await_answer(self) -> docker.DockerClient:
        """A client, once the daemon answers; asked by a plain socket, for the SDK leaves one open at each failure."""
        assert self._process is not None
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.url.removeprefix("unix://"))
                return docker.DockerClient(base_url=self.url)
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"dockerd did not start:\n{self._log.read_text()[-3000:]}") from None
                time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()  # it ends its containers and its containerd
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        subprocess.run(["ip", "link", "delete", self._bridge], check=False, env={**os.environ, "PATH": _path()})
        shutil.rmtree(self._run, ignore_errors=True)
        self._lock.close()


def _bridges_of_killed_runs() -> list[str]:
    """Return bridges of this module whose process has ended: a killed run could not remove them."""
    names = [path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"tl-\d+", path.name)]
    return [name for name in names if not Path("/proc", name.removeprefix("tl-")).exists()]


def base_image(client: docker.DockerClient) -> str:
    """Debian with Python, as small as the public image is; imported once."""
    if not client.images.list(BASE):
        with tempfile.TemporaryDirectory(dir=cache(), prefix="debootstrap-") as work:
            client.api.import_image(src=str(_root_file_system(Path(work))), repository=BASE)
    return BASE


def _root_file_system(work: Path) -> Path:
    kept = cache() / "base.tar"
    if not kept.exists():
        mirror, suite = _package_source()
        include = "--include=python3,python3-venv"
        run(["debootstrap", "--variant=minbase", include, suite, work / "root", mirror], timeout=400)
        unneeded = ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"]
        excluded = [f"--exclude=./{path}/*" for path in unneeded]
        run(["tar", "-C", work / "root", "-cf", work / "base.tar", *excluded, "."], timeout=120)
        (work / "base.tar").replace(kept)
    return kept


def _package_source() -> tuple[str, str]:
    """Mirror and suite of Debian's main packages, as this machine's apt knows them."""
    targets = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    suites = ("bookworm", "stable", "oldstable")
    for line in run(targets).splitlines():
        site, suite, component = line.split()
        if component == "main" and suite in suites:
            return site, suite
    raise RuntimeError(f"apt knows no source of {' or '.join(suites)}: this test needs Debian 12")


def run(command: Sequence[str | Path], *, timeout: float = 60, env: dict[str, str] | None = None) -> str:
    """Run a program, and on failure show the end of its output."""
    environment = {**(env or os.environ), "PATH": _path()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _path() -> str:
    """With the folders of administrators' programs, which not every shell has."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
