"""TorchServe as a child process: its command line, its environment and the meaning of its log.

Java is started directly. TorchServe's own launcher leaves Java running after SIGTERM, and exits with 0 when a start
fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.runtime.instance import Ports
from serving.torchserve import executables, start_worker
from serving.torchserve.registrations import Registration

METRICS_CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "torchserve" / "metrics.yaml"
LOG_CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "torchserve" / "log4j2.xml"

# A line of the log in the layout of deploy/torchserve/log4j2.xml, and the thread that logs a worker's output.
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ \w+ +(\[(?P<thread>.*?)\] )?(?P<logger>\w+) - (?P<message>.*)$")
THREAD = re.compile(r"^W-\d+-(?P<model>.+)_(?P<version>[^_]+)-std(out|err)$")

# Flags for making or using the AOT cache (serving/server/java_aot_cache.py). They leave compiled code out, because Java
# 25 cannot load some of it and would log that at each start.
JAVA_CACHE_FLAGS = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching")

# File in the server's folder with LogReader.errors: a command that registers a version reads why it does not load.
WORKER_ERRORS = "worker-errors.json"


def models(registrations: Sequence[Registration]) -> str:
    """Return the property `models`: settings of each registration, for archives without their own.

    TorchServe reads them in ConfigManager.getJsonIntValue.
    """
    settings: dict[str, dict[str, dict[str, int]]] = {}
    for registration in registrations:
        count = registration.workers
        workers = {} if count is None else {"minWorkers": count, "maxWorkers": count}
        batch = {"batchSize": registration.batch_size, "maxBatchDelay": registration.max_batch_delay}
        settings.setdefault(registration.name, {})[registration.version] = workers | batch
    return json.dumps(settings)


def addresses(ports: Ports, inference: int) -> dict[str, str]:
    """Return the properties with the addresses of TorchServe, all on loopback."""
    return {
        "inference_address": f"http://127.0.0.1:{inference}",
        "management_address": f"http://127.0.0.1:{ports.management}",
        "metrics_address": f"http://127.0.0.1:{ports.torchserve_metrics}",
        "grpc_inference_port": str(ports.grpc_inference),
        "grpc_management_port": str(ports.grpc_management),
    }


def command(
    config: Path,
    properties: Mapping[str, str],
    registrations: Sequence[Registration],
    temp: Path,
    *,
    recorded: Path | None = None,
) -> list[str]:
    """Return the command line of TorchServe's Java frontend, as ts/model_server.py builds it.

    Args:
        config: the file config.properties.
        properties: its content.
        registrations: what to load; the first version of a model becomes its default.
        temp: a folder for worker sockets, unpacked archives, and the script that starts workers.
        recorded: path to which Java writes a new AOT cache when it ends. None uses the existing cache.

    Raises:
        StartError: Java or TorchServe is not installed.
        OSError: the script cannot be written.
    """
    home, java = executables.torchserve_home(), executables.java()
    return [
        str(java),
        *_cache_flags(java, recorded),
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={temp}",
        f"-Dlog4j.configurationFile={LOG_CONFIG.as_uri()}",
        *shlex.split(properties.get("vmargs", "")),
        *("-cp", str(home / "ts" / "frontend" / "*")),
        "org.pytorch.serve.ModelServer",
        *("--python", str(start_worker.write(temp))),
        *("-f", str(config)),
        *("-s", properties["model_store"]),
        "-ncs",  # no snapshots: the command line alone decides what runs
        "-m",
        *(f"{registration.name}={registration.archive}" for registration in registrations),
    ]


def _cache_flags(java: Path, recorded: Path | None) -> list[str]:
    if recorded is not None:
        return [*JAVA_CACHE_FLAGS, f"-XX:AOTCacheOutput={recorded}"]
    cache = executables.java_cache(java)
    return [*JAVA_CACHE_FLAGS, f"-XX:AOTCache={cache}"] if cache is not None and cache.is_file() else []


def environment(temp: Path, threads: int) -> dict[str, str]:
    """Return the environment of Java, which its Python workers inherit.

    PYTHONPATH would take precedence over the code in the .mar, and TS_CONFIG_FILE over our configuration.
    """
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("TS_")}
    return inherited | {
        "TEMP": str(temp),
        "TMPDIR": str(temp),
        "OMP_NUM_THREADS": str(threads),
        # Idle threads sleep. Busy loops would take the cores from other workers and from Java.
        "OMP_WAIT_POLICY": "passive",
        "PYTHONUNBUFFERED": "1",
        "LOG_LOCATION": str(temp),
        "METRICS_LOCATION": str(temp),
    }


class LogReader:
    """Finds the reason in TorchServe's log why a model was not loaded: a worker's Python error or a Java error.

    TorchServe restarts a worker that dies while loading again and again, and reports itself as healthy.
    """

    _PYTHON_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Mismatch)\b.*$")
    _CAUGHT = re.compile(r"^(Failed to load|Load) model \S+.*, exception (?P<error>.+)$")
    _FAILED = re.compile(r"Load model failed|Backend worker process died|exited with|Worker died")
    _JAVA_ERROR = re.compile(r"^(Caused by: )?(?P<error>(java|org|io)\.[\w.$]*(Exception|Error)\b.*)$")

    def __init__(self) -> None:
        self.error: str | None = None
        """The most telling error so far, as one line."""
        self.failed = False
        """True if a model could not be loaded."""
        self.errors: dict[str, tuple[str, int]] = {}
        """The last Python error of each version and its number, by `<model>/<version>`."""
        self.count = 0
        """The number of Python errors so far."""
        self._in_traceback: set[str] = set()
        self._explained: set[str] = set()
        self._archive: str | None = None

    def feed(self, line: str) -> None:
        """Process one line of the log."""
        match = LINE.match(line)
        if match is None:
            self._java(line)
        elif match["logger"] == "MODEL_LOG":
            self._python(match["thread"] or "", match["message"])
        else:
            if match["message"].startswith("Failed to load model: "):
                self._archive = match["message"].removeprefix("Failed to load model: ")
                self.failed = True
            self.failed |= bool(self._FAILED.search(match["message"]))

    def _python(self, thread: str, message: str) -> None:
        self.failed |= bool(self._FAILED.search(message))
        caught = self._CAUGHT.match(message)
        if message == "Torch worker started.":
            self._explained.discard(thread)
        elif caught:  # only TorchServe's own '500 - Unknown exception' follows
            self._explained.add(thread)
            self._add(thread, caught["error"])
        elif message.startswith("Traceback"):
            self._in_traceback.add(thread)
        elif thread in self._in_traceback and self._PYTHON_ERROR.match(message):
            self._in_traceback.discard(thread)
            if thread not in self._explained:
                self._add(thread, message)

    def _add(self, thread: str, error: str) -> None:
        self.error = error
        self.count += 1
        match = THREAD.match(thread)
        if match:
            self.errors[f"{match['model']}/{match['version']}"] = (error, self.count)

    def _java(self, line: str) -> None:
        match = self._JAVA_ERROR.match(line.strip())
        if match and self.error is None:
            self.error = f"{self._archive}: {match['error']}" if self._archive else match["error"]
