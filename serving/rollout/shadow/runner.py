"""The controller's side of a shadow: it lets workers send samples, and runs the replayer that compares them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

from models import documents
from serving.proxy.haproxy import SHADOW_SOCKET
from serving.rollout.record import Record
from serving.rollout.shadow.files import FOLDER, SUMMARY
from serving.rollout.shadow.summary import ShadowSummary
from serving.runtime import atomic_files, private_folder, processes
from serving.runtime.instance import Instance
from serving.torchserve.worker_roles import RoleCounts

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
# The replayer uses time that nobody else wants (nice(1)).
NICENESS = 19
# Between two starts, so that a replayer that cannot run costs little.
PAUSE_SECONDS = 5.0
STOP_SECONDS = 2.0


class ShadowRunner:
    """The shadow of one rollout. Several models can be in shadow at once.

    Args:
        temp: the server's temporary folder, where its workers look for a listener.
        record: of the rollout; its folder gets the figures.
    """

    def __init__(self, instance: Instance, temp: Path, record: Record, role_counts: RoleCounts) -> None:
        self._instance, self._temp, self._record, self._role_counts = instance, temp, record, role_counts
        self._child: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def start(self) -> None:
        """Let workers send samples and start the replayer, if it does not run. It continues after what it compared.

        Call it again and again: it starts a replayer that has ended.

        Raises:
            ConfigError: the rollout's state is damaged.
            OSError: the disk is full.
        """
        rollout = self._record.load()
        private_folder.make(self._record.folder / FOLDER)
        self._ask_for_samples(rollout.model, rollout.stable, rollout.plan.shadow.share)
        if self._child is not None and self._child.poll() is None:
            return
        if time.monotonic() - self._started < PAUSE_SECONDS:
            return
        if self._child is not None:
            logger.warning("the replayer of %s ended (%s); starting it again", rollout.id, self._child.returncode)
        self._started = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = self._command(socket_path(self._temp, rollout.model))
        self._child = processes.spawn(command, cwd=self._instance.folder, env=environment, on_line=logger.info)

    def summary(self) -> ShadowSummary:
        """Return the comparison so far.

        Raises:
            DocumentError, ValueError: its file is damaged.
        """
        try:
            return ShadowSummary.model_validate(documents.read_json(self._record.folder / FOLDER / SUMMARY))
        except FileNotFoundError:
            return ShadowSummary()

    def stop(self) -> None:
        """Let workers send no more samples, and end the replayer. It may have ended, or never started."""
        listener_file(self._temp, self._record.load().model).unlink(missing_ok=True)
        if self._child is not None:
            processes.end(self._child, STOP_SECONDS)
            self._child = None
            self._started = float("-inf")

    def _ask_for_samples(self, model: str, version: str, share: float) -> None:
        """Write the file that handlers/shadow/listener.py reads, if it has another content."""
        path = listener_file(self._temp, model)
        socket = str(socket_path(self._temp, model))
        text = json.dumps({"model": model, "version": version, "share": share, "socket": socket})
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            atomic_files.write(path, text)

    def _command(self, socket: Path) -> list[str]:
        return [
            *("nice", "-n", str(NICENESS), sys.executable, "-m", "serving.rollout.shadow.replayer"),
            *("--record", str(self._record.folder.absolute())),
            *("--samples", str(socket)),
            *("--proxy", str(self._temp / SHADOW_SOCKET)),
            *("--explain-workers", str(self._role_counts.explain)),
        ]


def listener_file(temp: Path, model: str) -> Path:
    """Return the path of the file that asks workers for samples of a model."""
    return temp / f"shadow-{model}.json"


def socket_path(temp: Path, model: str) -> Path:
    """Return the path of the socket for samples of a model. The path of a socket must be short (unix(7))."""
    return temp / f"shadow-{zlib.crc32(model.encode()):08x}.sock"
