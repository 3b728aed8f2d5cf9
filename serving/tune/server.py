"""A real server to measure, with the proxy. Its versions are the same model with different settings.

Each settings value is a version with its own archive, because TorchServe reads the settings from the archive. Two
versions are loaded at a time, so that their rounds can be interleaved.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from types import TracebackType

from models.documents import parse_json
from serving.artifacts import store
from serving.artifacts.mar import MANIFEST
from serving.artifacts.model_config import FILE_NAME, ModelConfig
from serving.artifacts.store import Archive
from serving.errors import StartError
from serving.rollout import state
from serving.rollout.local import versions_of
from serving.runtime import processes
from serving.runtime.instance import Instance, Ports, free_ports
from serving.server.launch_options import Launch
from serving.server.supervisor import START_SECONDS, Supervisor
from serving.torchserve.worker_roles import PREDICT_ONLY
from serving.tune.settings import WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
# Time for requests in flight when the server is stopped; there are some only after Ctrl-C.
STOP_SECONDS = 20


def with_settings(mar: Path, target: Path, version: str, config: ModelConfig) -> None:
    """Write a copy of a .mar with another version and another `config`."""
    with zipfile.ZipFile(mar) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name in source.namelist():
            content = source.read(name)
            if name == MANIFEST:
                manifest = parse_json(content, name)
                manifest["model"]["modelVersion"] = version
                content = json.dumps(manifest).encode()
            elif name == FILE_NAME:
                content = config.archived().encode()
            out.writestr(name, content)


class Server:
    """Serves a model with the requested settings inside a `with` block, in a temporary folder.

    It has no explain workers: explanations run at the lowest priority and are not tuned.

    Args:
        mar: the archive of the model.
        base: the settings that are not tuned.
        first: the settings to start with.

    Raises:
        StartError: it does not start; the message is the reason.
    """

    def __init__(self, mar: Path, model: str, base: ModelConfig, first: WorkerSettings) -> None:
        self._mar = mar
        self._model = model
        self._base = base
        self._ports = free_ports()
        self._versions: dict[WorkerSettings, str] = {}
        self._made = 0
        self._first = first

    def __enter__(self) -> Server:
        self._folder = Path(tempfile.mkdtemp(prefix="torchlight-tune-"))
        self._instance = Instance(self._ports, self._folder / "run")
        self._store = self._folder / "store"
        try:
            for folder in (self._store, self._folder / "tmp"):
                folder.mkdir()
            version = self._archive(self._first)
            words = (str(self._ports.public), str(self._instance.folder.parent), str(self._store), self._model, version)
            self._process = processes.spawn(
                [sys.executable, "-m", "serving.tune.server", *words],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self._folder / "tmp")},
                on_line=lambda line: None,
            )
            self._await_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._versions[self._first] = version
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if hasattr(self, "_process"):
            processes.end(self._process, patience=STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port of the proxy."""
        return "127.0.0.1", self._ports.public

    def path(self, settings: WorkerSettings) -> str:
        """Return the path of the model with these settings, and load it first if needed.

        Raises:
            ServingError: it cannot be loaded.
        """
        if settings not in self._versions:
            version = self._archive(settings)
            versions_of(self._instance, root=self._store).register(self._model, version)
            self._versions[settings] = version
        return f"/predictions/{self._model}/{self._versions[settings]}"

    def remove(self, settings: WorkerSettings) -> None:
        """Unload these settings, unless they are the first ones. A later `path` loads them again."""
        if settings != self._first and (version := self._versions.pop(settings, None)):
            versions_of(self._instance, root=self._store).retire(self._model, version)
            store.path_of(self._model, version, self._store).unlink()

    def _archive(self, settings: WorkerSettings) -> str:
        self._made += 1
        version = str(self._made)
        with_settings(self._mar, store.path_of(self._model, version, self._store), version, settings.config(self._base))
        return version

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            status = self._instance.status()
            if status is not None and status.state == "ready":
                return
            if self._process.poll() is not None:
                reason = status.message if status else "see whether `torchlight serve` works"
                raise StartError(f"the server to measure did not start: {reason}")
            time.sleep(0.05)
        raise StartError(f"the server to measure was not ready after {START_SECONDS} s")


def main(port: str, run: str, root: str, model: str, version: str) -> int:
    """Serve one archive in the server's own process until SIGTERM."""
    archive = Archive(store.path_of(model, version, Path(root)), model, version)
    launch = Launch(archives=[archive], state=state.from_archives([archive]), role_counts=PREDICT_ONLY)
    return Supervisor(Instance(Ports(int(port)), Path(run)), launch).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
