"""TorchServe as a child process: how Java is called, what its log means, and when its workers are READY.

Java is started directly. TorchServe's own launcher answers SIGTERM by leaving Java behind, and exits with 0 when a
start fails.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import requests

from serving import programs
from serving.store import Archive

LOG_CONFIG = Path(__file__).resolve().parent.parent / "deploy" / "torchserve" / "log4j2.xml"


def command(config: Path, properties: Mapping[str, str], archives: Iterable[Archive], temp: Path) -> list[str]:
    """The command line of TorchServe's Java frontend, as ts/model_server.py builds it.

    Args:
        config: the rendered config.properties.
        properties: the same, as values.
        archives: what to load; the first version of a model becomes its default.
        temp: a folder of its own: worker sockets and unpacked archives go there.

    Raises:
        StartError: Java or TorchServe is not installed.
    """
    home = programs.torchserve_home()
    return [
        str(programs.java()),
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={temp}",
        f"-Dlog4j.configurationFile={LOG_CONFIG.as_uri()}",
        *shlex.split(properties.get("vmargs", "")),
        *("-cp", str(home / "ts" / "frontend" / "*")),
        "org.pytorch.serve.ModelServer",
        *("--python", sys.executable),
        *("-f", str(config)),
        *("-s", properties["model_store"]),
        "-ncs",  # no snapshots: what runs is what this command line says
        "-m",
        *(f"{archive.model}={archive.path.name}" for archive in archives),
    ]


def environment(temp: Path, threads: int) -> dict[str, str]:
    """The environment of Java, which its Python workers inherit.

    PYTHONPATH would come before the code in the .mar, TS_CONFIG_FILE before our config.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("TS_")}
    return kept | {
        "TEMP": str(temp),
        "TMPDIR": str(temp),
        "OMP_NUM_THREADS": str(threads),
        # Waiting threads sleep: spinning ones take the cores from the other workers and from Java.
        "OMP_WAIT_POLICY": "passive",
        "PYTHONUNBUFFERED": "1",
        "LOG_LOCATION": str(temp),
        "METRICS_LOCATION": str(temp),
    }


class LogReader:
    """Finds in TorchServe's log why a start failed: the Python error of a worker, or the Java error of the frontend.

    A worker that dies while loading is started again and again, and TorchServe itself calls that healthy.
    """

    _LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ (?P<level>\w+) +(?P<logger>\w+) - (?P<message>.*)$")
    _PYTHON_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Mismatch)\b.*$")
    _CAUGHT = re.compile(r"^(Failed to load|Load) model \S+.*, exception (?P<error>.+)$")
    _FAILED = re.compile(r"Load model failed|Backend worker process died|exited with|Worker died")
    _JAVA_ERROR = re.compile(r"^(Caused by: )?(?P<error>(java|org|io)\.[\w.$]*(Exception|Error)\b.*)$")

    def __init__(self) -> None:
        self.error: str | None = None
        """The most telling error so far, as one line."""
        self.failed = False
        """Whether a model could not be loaded."""
        self._in_traceback = False
        self._archive: str | None = None
        self._settled = False

    def feed(self, line: str) -> None:
        """Take in one line of the log."""
        match = self._LINE.match(line)
        if match is None:
            self._java(line)
        elif match["logger"] == "MODEL_LOG":
            self._python(match["message"])
        else:
            if match["message"].startswith("Failed to load model: "):
                self._archive = match["message"].removeprefix("Failed to load model: ")
                self.failed = True
            self.failed |= bool(self._FAILED.search(match["message"]))

    def _python(self, message: str) -> None:
        self.failed |= bool(self._FAILED.search(message))
        caught = self._CAUGHT.match(message)
        if caught:  # what follows is only TorchServe's own '500 - Unknown exception'
            self.error, self._settled = caught["error"], True
        elif message.startswith("Traceback"):
            self._in_traceback = True
        elif self._in_traceback and self._PYTHON_ERROR.match(message):
            self._in_traceback = False
            if not self._settled:
                self.error = message

    def _java(self, line: str) -> None:
        match = self._JAVA_ERROR.match(line.strip())
        if match and self.error is None:
            self.error = f"{self._archive}: {match['error']}" if self._archive else match["error"]


def ready_workers(management_port: int, archive: Archive, token: str | None = None) -> tuple[int, int]:
    """How many workers of a version are READY, and how many it should have; (0, 0) where it is not there yet.

    READY alone counts: while workers load, TorchServe's /ping says Healthy.
    """
    url = f"http://127.0.0.1:{management_port}/models/{archive.model}/{archive.version}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(url, headers=headers, timeout=5)
        if answer.status_code != 200:
            return 0, 0
        described = answer.json()[0]
    except (requests.RequestException, ValueError, LookupError):
        return 0, 0
    ready = sum(worker["status"] == "READY" for worker in described["workers"])
    return ready, int(described["minWorkers"])
