"""Starts TorchServe and the front door, watches them, and stops them without losing a request. Fit to be PID 1.

Stopping: the front door takes nothing new and finishes what it has; then Java gets SIGTERM, which would cut off
whatever was still in flight; then every process and the temp folder are gone. A second signal skips the waiting.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving import cores, frontdoor, process, programs, properties, torchserve
from serving.errors import StartError
from serving.frontdoor import FrontDoor, Tokens
from serving.instance import Instance, State
from serving.store import Archive

POLL_SECONDS = 0.1
DRAIN_SECONDS = 60
START_SECONDS = 180
JAVA_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run and how. `front` off serves TorchServe itself on the public port, of loopback alone."""

    archives: Sequence[Archive]
    host: str = "127.0.0.1"
    front: bool = True
    production: bool = False
    token: str | None = None


class Supervisor:
    """One run of one server, from start to exit status."""

    def __init__(self, instance: Instance, launch: Launch) -> None:
        self._instance = instance
        self._launch = launch
        self._java: subprocess.Popen[str] | None = None
        self._haproxy: subprocess.Popen[str] | None = None
        self._stop = threading.Event()
        self._hurry = False
        self._last_words = "stopped"
        self._log = torchserve.LogReader()
        self._temp = Path()
        self._properties: dict[str, str] = {}

    def run(self) -> int:
        """Serve until a signal or a crash; returns the exit status: 0 only after a signal.

        Raises:
            StartError, ConfigError: the server did not come up; nothing of it is left running.
        """
        self._instance.claim()
        self._sweep()
        self._temp = Path(tempfile.mkdtemp(prefix="torchlight-"))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._report("starting", "starting")
            self._start()
            status = self._watch()
            self._report("stopped" if status == 0 else "failed", self._last_words)
            return status
        except BaseException as error:
            self._report("failed", str(error) or type(error).__name__)
            raise
        finally:
            self._end()

    # ---- starting

    def _start(self) -> None:
        launch, ports = self._launch, self._instance.ports
        java = programs.java()
        haproxy = programs.haproxy() if launch.front else None
        if not launch.front and launch.host not in ("127.0.0.1", "::1", "localhost"):
            raise StartError(f"HOST={launch.host} needs the front door: TorchServe itself is never open to a network")
        ports.check_free(launch.host)
        self._say(f"Java: {java}")
        for archive in launch.archives:
            self._say(f"model: {archive.model} {archive.version} ({archive.path})")
        self._start_java()
        self._await_workers()
        if haproxy:
            self._start_haproxy(haproxy)
        self._report("ready", self._welcome())
        self._say(self._welcome())

    def _start_java(self) -> None:
        launch, ports, folder = self._launch, self._instance.ports, self._instance.folder
        usable = cores.usable()
        threads = cores.threads_per_worker(len(launch.archives), usable)
        inference = ports.inference if launch.front else ports.public
        self._properties = properties.load() | {
            "inference_address": f"http://127.0.0.1:{inference}",
            "management_address": f"http://127.0.0.1:{ports.management}",
            "metrics_address": f"http://127.0.0.1:{ports.metrics}",
            "grpc_inference_port": str(ports.grpc_inference),
            "grpc_management_port": str(ports.grpc_management),
            "number_of_netty_threads": str(usable),
            "netty_client_threads": str(usable),
            "model_store": str(launch.archives[0].path.parent.resolve()),
            "disable_token_authorization": str(not launch.production).lower(),
        }
        config = folder / "config.properties"
        frontdoor.write(config, properties.render(self._properties))
        (folder / "key_file.json").unlink(missing_ok=True)
        self._java = process.spawn(
            torchserve.command(config, self._properties, launch.archives, self._temp),
            cwd=folder,
            env=torchserve.environment(self._temp, threads),
            on_line=self._on_java_line,
        )

    def _await_workers(self) -> None:
        """Wait until every worker is READY; the first one that dies ends the start with its reason."""
        began, shown = time.monotonic(), ""
        while True:
            if self._stop.is_set():
                raise StartError("stopped before it was ready")
            if (self._java is not None and self._java.poll() is not None) or self._log.failed:
                self._stop.wait(1.0)  # the rest of the traceback
                raise StartError(f"the model server did not come up: {self._log.error or 'see its log'}")
            token = self._torchserve_token("management")
            counts = [
                torchserve.ready_workers(self._instance.ports.management, a, token) for a in self._launch.archives
            ]
            if all(0 < wanted <= ready for ready, wanted in counts):
                return
            ready, wanted = (sum(column) for column in zip(*counts, strict=True))
            if (shown_now := f"workers READY: {ready} of {wanted or '?'}") != shown:
                shown = shown_now
                self._report("starting", shown)
            if time.monotonic() - began > START_SECONDS:
                raise StartError(f"{shown} after {START_SECONDS} s; see the log")
            self._stop.wait(POLL_SECONDS)

    def _start_haproxy(self, program: Path) -> None:
        launch, ports, folder = self._launch, self._instance.ports, self._instance.folder
        door = FrontDoor(
            host=launch.host,
            port=ports.public,
            backend_port=ports.inference,
            map_file=folder / "versions.map",
            # A path of a socket has at most 107 characters, and that of a checkout can be longer.
            socket=self._temp / "haproxy.sock",
            max_request_size=int(self._properties["max_request_size"]),
            drain_seconds=DRAIN_SECONDS,
            threads=max(1, cores.usable() // 4),
            tokens=self._tokens() if launch.production else None,
        )
        frontdoor.write(door.map_file, frontdoor.routes(launch.archives))
        config = folder / "haproxy.cfg"
        frontdoor.write(config, frontdoor.render(door))
        checked = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True)
        if checked.returncode != 0:
            raise StartError(f"HAProxy refuses {config}: {' '.join(checked.stderr.split())}")
        self._haproxy = process.spawn(
            [str(program), "-db", "-f", str(config)], cwd=folder, env=os.environ, on_line=self._say
        )
        deadline = time.monotonic() + 10
        while not door.socket.exists():
            if self._haproxy.poll() is not None or time.monotonic() > deadline:
                raise StartError("the front door (HAProxy) did not come up; see the log")
            time.sleep(0.02)

    def _tokens(self) -> Tokens:
        """The token for clients, made once and kept for the next start, and TorchServe's own for inference."""
        path = self._instance.folder / "token"
        public = self._launch.token
        if public is None:
            public = path.read_text(encoding="ascii").strip() if path.exists() else secrets.token_urlsafe(32)
        frontdoor.write(path, public + "\n")
        inference = self._torchserve_token("inference")
        if inference is None:
            raise StartError(f"TorchServe wrote no tokens to {self._instance.folder / 'key_file.json'}; see the log")
        return Tokens(public, inference)

    def _torchserve_token(self, kind: str) -> str | None:
        """A token of the key file that TorchServe writes into its working directory, where tokens are on."""
        if not self._launch.production:
            return None
        try:
            keys = json.loads((self._instance.folder / "key_file.json").read_text(encoding="utf-8"))
            return str(keys[kind]["key"])
        except (OSError, ValueError, KeyError):
            return None

    def _welcome(self) -> str:
        launch, ports = self._launch, self._instance.ports
        host = "127.0.0.1" if launch.host in ("0.0.0.0", "::") else launch.host
        url = f"http://{host}:{ports.public}"
        model = launch.archives[0].model
        lines = [f"serving at {url}"]
        lines += [f"  POST {url}/predictions/{a.model}   POST {url}/explanations/{a.model}" for a in launch.archives]
        token = ' -H "Authorization: Bearer $(cat .run/' + f'{ports.public}/token)"' if launch.production else ""
        lines += [
            f"try:   curl{token} -T samples/3.png {url}/predictions/{model}",
            f"stop:  make stop PORT={ports.public}",
        ]
        if not launch.front:
            lines.append(
                "no front door: no default versions, query options, form-encoded images, limits or soft stop; stopping "
                "cuts off requests in flight"
            )
        elif not launch.production:
            lines.append("no token is asked for: this is for one machine; `make serve MODE=production` asks for one")
            if launch.host != "127.0.0.1":
                lines.append(
                    f"WARNING: HOST={launch.host} lets anybody who reaches this machine use it: add MODE=production"
                )
        return "\n".join(lines)

    # ---- running

    def _watch(self) -> int:
        while not self._stop.wait(POLL_SECONDS):
            process.reap([child.pid for child in (self._java, self._haproxy) if child is not None])
            for name, child in (("the model server (Java)", self._java), ("the front door (HAProxy)", self._haproxy)):
                if child is not None and child.poll() is not None:
                    status = child.returncode
                    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                    self._last_words = f"{name} {how}; stopping everything, start again with `make serve`"
                    self._say(self._last_words)
                    return 128 - status if status < 0 else status or 1
        return self._drain()

    def _drain(self) -> int:
        self._report("stopping", "waiting for requests in flight")
        if self._haproxy is not None:
            self._say("stopping: nothing new is taken, requests in flight are finished")
            self._haproxy.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + DRAIN_SECONDS + 5
            while self._haproxy.poll() is None and time.monotonic() < deadline and not self._hurry:
                time.sleep(0.02)
        return 0

    def _on_signal(self, number: int, frame: object) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    # ---- ending

    def _end(self) -> None:
        """Leave nothing behind: no process, no temp folder."""
        if self._haproxy is not None:
            process.end(self._haproxy, patience=0)
        if self._java is not None:
            process.end(self._java, patience=JAVA_STOP_SECONDS)
        shutil.rmtree(self._temp, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove the temp folder of a supervisor that was killed: the lock says that it is gone."""
        before = self._instance.status()
        if before and Path(before.temp).name.startswith("torchlight-"):
            shutil.rmtree(before.temp, ignore_errors=True)

    # ---- words

    def _on_java_line(self, line: str) -> None:
        self._say(line)
        self._log.feed(line)

    def _say(self, message: str) -> None:
        print(message, flush=True)

    def _report(self, state: State, message: str) -> None:
        self._instance.report(state, message, self._temp)
