"""Supervisor: starts TorchServe and the proxy, watches them, and stops them without losing a request. It can be PID 1.

A stop has four steps. The gRPC gateway finishes its calls. The proxy accepts nothing new and finishes its requests.
Java gets SIGTERM, which would cut off requests in flight. Then every process has ended and the temporary folder is
removed. A second signal skips the waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from serving.errors import StartError, Unreachable
from serving.grpc import gateway_command as gateway
from serving.proxy import client_token, haproxy, routing
from serving.proxy.haproxy import ProxyConfig, Tokens
from serving.proxy.readiness import Readiness, WorkerPoll
from serving.proxy.unbatched_routing import UnbatchedRouting
from serving.rollout import startup
from serving.runtime import atomic_files, cpu, processes, temp_folder, timer_slack
from serving.runtime.instance import TOKEN, TORCHSERVE_TOKEN, Instance
from serving.runtime.instance import State as RunState
from serving.runtime.log import Log, StandardOutput, logger
from serving.runtime.temp_folder import TempFolder
from serving.server import draining, preflight
from serving.server.crash import Children
from serving.server.file_presence import Presence
from serving.server.launch_options import Launch, welcome
from serving.server.rollout_controller import RolloutController
from serving.server.run_files import RunFiles
from serving.server.stopped_workers import StoppedWorkers
from serving.torchserve import executables, process, properties, registrations, tokens
from serving.torchserve.management import Management
from serving.torchserve.tokens import KeyFile
from serving.web.web_process import WebProcess

JAVA, HAPROXY, GATEWAY = "the model server (Java)", "the proxy (HAProxy)", "the gRPC gateway"
POLL_SECONDS = 0.1
START_SECONDS = 180
JAVA_STOP_SECONDS = 15


class Supervisor:
    """One run of a server, from its start to its exit status."""

    def __init__(self, instance: Instance, launch: Launch, log: Log | None = None) -> None:
        self._instance = instance
        self._launch = launch
        self._java: subprocess.Popen[bytes] | None = None
        self._gateway: subprocess.Popen[bytes] | None = None
        self._haproxy: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._hurry = False
        self._end_message = "stopped"
        self._log = log or Log(StandardOutput())
        self._logger = logger(self._log, "supervisor")
        self._reader = process.LogReader()
        self._files = RunFiles(instance, launch, self._reader)
        self._presence: Presence | None = None
        self._temp: TempFolder | None = None
        self._properties: dict[str, str] = {}
        self._registrations = launch.registrations()
        self._unbatched = UnbatchedRouting()
        versions_map = instance.folder / routing.FILE_NAME
        self._poll = WorkerPoll(self._management, launch.role_counts, versions_map)
        self._readiness = Readiness(self._poll, versions_map)
        self._stopped_workers = StoppedWorkers()
        start_again = f"torchlight serve --port {instance.ports.public}"
        self._children = Children(self._log.write, start_again, self._log.location)
        self._web = WebProcess(instance, self._logger.warning, self._log.write)
        self._controller = RolloutController(instance, self._logger.warning, self._log.write)
        self._hear_java = self._children.listener(JAVA)

    def run(self) -> int:
        """Serve until a signal or a crash, and return the exit status: 0 only after a signal.

        Raises:
            StartError, ConfigError: the server did not start. None of its processes is left running.
        """
        self._instance.claim()
        before = os.umask(0o077)  # files and sockets of children are private to this user
        self._sweep()
        # In a container, nobody cleans /tmp.
        self._temp = TempFolder(None if self._launch.container else self._instance.folder)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._report("starting", "starting")
            self._start()
            status = self._watch()
            self._report("stopped" if status == 0 else "failed", self._end_message)
            return status
        except BaseException as error:
            self._report("failed", str(error) or type(error).__name__)
            raise
        finally:
            self._end()
            os.umask(before)

    # ---- starting

    def _start(self) -> None:
        launch, ports = self._launch, self._instance.ports
        java = executables.java()
        haproxy = executables.haproxy() if launch.proxy else None
        preflight.check(launch, self._instance.folder, self._temp_path)
        ports.check_free(launch.host)
        self._logger.info(f"Java: {java}")
        for archive in launch.archives:
            self._logger.info(f"model: {archive.model} {archive.version} ({archive.path})")
        self._start_java()
        self._web.start(self._socket if launch.proxy else None)
        self._await_workers()
        registrations.scale(self._registrations, self._management(), START_SECONDS, self._logger.info)
        if haproxy:
            self._start_gateway()
            self._start_haproxy(haproxy)
        else:
            atomic_files.write(
                self._instance.folder / TORCHSERVE_TOKEN, KeyFile.of(self._instance).token("inference") + "\n"
            )
        startup.record_start(self._instance.folder, launch.state)
        self._presence = Presence(self._instance.folder, self._temp_path, proxy=launch.proxy)
        self._report("ready", welcome(self._launch, self._instance.ports))
        self._logger.info(welcome(self._launch, self._instance.ports))

    def _start_java(self) -> None:
        launch, ports, folder = self._launch, self._instance.ports, self._instance.folder
        usable = cpu.usable()
        # Extra workers do not count: they use the time in which predict workers are idle.
        threads = cpu.threads_per_worker(registrations.predict_workers(self._registrations), usable)
        inference = ports.inference if launch.proxy else ports.public
        self._properties = (
            properties.load()
            | process.addresses(ports, inference)
            | {
                "number_of_netty_threads": str(usable),
                "netty_client_threads": str(usable),
                "metrics_config": str(process.METRICS_CONFIG),
                "models": process.models(self._registrations),
                "model_store": str(self._store.resolve()),
            }
        )
        config = folder / "config.properties"
        atomic_files.write(config, properties.render(self._properties))
        (folder / tokens.FILE_NAME).unlink(missing_ok=True)
        timer_slack.reduce()
        self._java = self._children.add(
            JAVA,
            processes.spawn(
                process.command(config, self._properties, self._registrations, self._temp_path),
                cwd=folder,
                env=process.environment(self._temp_path, threads),
                on_line=self._listen_to_java,
            ),
        )

    def _await_workers(self) -> None:
        """Wait until every worker is READY. The first worker that dies ends the start with its error."""
        start, shown = time.monotonic(), ""
        while True:
            if self._stop.is_set():
                raise StartError("stopped before it was ready")
            if (self._java is not None and self._java.poll() is not None) or self._reader.failed:
                self._stop.wait(1.0)  # the rest of the traceback
                raise StartError(f"the model server did not start: {self._reader.error or 'see its log'}")
            counts = registrations.count(self._registrations, self._management())
            if all(0 < configured <= ready for ready, configured in counts):
                return self._launch.check_archives()
            ready, configured = (sum(column) for column in zip(*counts, strict=True))
            if (shown_now := f"workers READY: {ready} of {configured or '?'}") != shown:
                shown = shown_now
                self._report("starting", shown)
                self._logger.info(shown)
            if time.monotonic() - start > START_SECONDS:
                raise StartError(f"{shown} after {START_SECONDS} s; see the log")
            self._files.write()
            self._stop.wait(POLL_SECONDS)

    def _management(self) -> Management:
        return Management.of(self._instance)

    def _start_gateway(self) -> None:
        """Start the gRPC gateway. HAProxy sends it gRPC calls, and it sends them through HAProxy again, over HTTP."""
        launch, ports, max_bytes = self._launch, self._instance.ports, self._properties["max_request_size"]
        command = gateway.command(ports.gateway, launch.host, ports.public, max_bytes, draining.DRAIN_SECONDS)
        listener = self._children.listener(GATEWAY)
        child = processes.spawn(command, cwd=self._instance.folder, env=gateway.environment(), on_line=listener)
        self._gateway = self._children.add(GATEWAY, child)

    def _start_haproxy(self, program: Path) -> None:
        launch, ports, folder = self._launch, self._instance.ports, self._instance.folder
        proxy = ProxyConfig(
            host=launch.host,
            port=ports.public,
            backend_port=ports.inference,
            gateway_port=ports.gateway,
            web_port=ports.web,
            metrics_port=ports.proxy_metrics,
            map_file=Path(
                routing.FILE_NAME
            ),  # HAProxy runs in the folder, because its commands allow no spaces in paths
            socket=self._socket,
            max_request_size=int(self._properties["max_request_size"]),
            drain_seconds=draining.DRAIN_SECONDS,
            threads=max(1, cpu.usable() // 4),
            keep_alive_seconds=launch.keep_alive_seconds,
            explain_at_once=registrations.explain_at_once(self._registrations, self._management()),
            only_model=next(iter(launch.state.models)) if len(launch.state.models) == 1 else "",
            tokens=self._tokens(),
            cors_origins=launch.cors_origins,
        )
        listener = self._children.listener(HAPROXY)
        child = haproxy.spawn(program, proxy, folder, routing.text(launch.archives), listener)
        self._haproxy = self._children.add(HAPROXY, child)
        haproxy.await_open(proxy, self._haproxy)
        self._poll.start()
        self._reconcile()

    @property
    def _routing(self) -> routing.Routing:
        return routing.Routing(self._instance.folder / routing.FILE_NAME, self._socket)

    @property
    def _socket(self) -> Path:
        return self._temp_path / routing.SOCKET

    @property
    def _temp_path(self) -> Path:
        return self._temp.path if self._temp is not None else Path()

    @property
    def _store(self) -> Path:
        return self._launch.archives[0].path.parent

    def _tokens(self) -> Tokens:
        """Return the tokens of clients and of TorchServe. A random token of clients is stored for the next start."""
        inference = KeyFile.of(self._instance).token("inference")
        if not self._launch.production:
            return Tokens(inference)
        path = self._instance.folder / TOKEN
        public = self._launch.token
        if public is None:
            stored = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
            public = client_token.checked(stored, str(path)) if stored else client_token.generate()
        atomic_files.write(path, public + "\n")
        return Tokens(inference, public)

    # ---- running

    def _watch(self) -> int:
        while not self._stop.wait(POLL_SECONDS):
            if self._presence and self._java and (loss := self._presence.loss(self._java.pid)):
                self._end_message = f"{loss}; stopping everything, start again with `torchlight serve`"
                self._logger.error(self._end_message)
                return self._drain() or 1
            own = self._web.keep_running() + self._controller.keep_running(self._store)
            self._children.reap(own)
            with suppress(Unreachable):  # HAProxy ended: see below
                self._reconcile()
            self._stopped_workers.kill_overdue(self._poll, self._java.pid if self._java else 0, self._logger.info)
            self._files.write()
            if (crashed := self._children.crash()) is not None:
                status, self._end_message = crashed
                self._logger.error(self._end_message)
                return status
        return self._drain()

    def _reconcile(self, stopping: bool = False) -> None:
        """Update HAProxy's maps of workers that are up."""
        if self._haproxy is not None:
            self._unbatched.reconcile(self._routing)
            self._readiness.reconcile(self._routing, stopping)

    def _drain(self) -> int:
        self._report("stopping", "waiting for requests in flight")
        self._logger.info("stopping: gRPC calls finish first, then all other requests in flight")
        with suppress(Unreachable):
            self._reconcile(stopping=True)
        if self._haproxy is not None and self._gateway is not None:
            draining.drain(self._haproxy, self._gateway, self._routing, lambda: self._hurry)
        return 0

    def _on_signal(self, number: int, frame: object) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    # ---- ending

    def _end(self) -> None:
        """End every process and remove the temporary folder."""
        self._controller.end()
        self._web.end()
        for child in (self._haproxy, self._gateway):
            if child is not None:
                processes.end(child, patience=0)
        if self._java is not None:
            processes.end(self._java, patience=JAVA_STOP_SECONDS)
        if self._temp is not None:
            self._temp.remove()
        self._files.write()
        self._log.close()

    def _sweep(self) -> None:
        """Remove the temporary folder of a supervisor that was killed: this one has its lock now."""
        before = self._instance.status()
        temp_folder.sweep(self._instance.folder, before.temp if before else None)

    def _listen_to_java(self, line: str) -> None:
        self._hear_java(line)
        self._unbatched.feed(line)
        self._reader.feed(line)

    def _report(self, run_state: RunState, message: str) -> None:
        self._files.report(run_state, message, self._temp_path)
