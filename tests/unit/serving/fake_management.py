"""TorchServe's management API in memory: registrations are READY at once, except those that a test lets fail."""

from __future__ import annotations

from collections.abc import Callable

from serving.errors import NotRegistered, Refused
from serving.torchserve.management import Management, Version, Worker


class FakeManagement(Management):
    """Registers `<model>-<version>.mar` with one worker, as its archive says, whatever a registration says."""

    def __init__(self, *, broken: tuple[str, ...] = (), pending: int = 0, gpu: bool = False) -> None:
        self.registered: dict[tuple[str, str], int] = {}
        self.defaults: dict[str, str] = {}
        self.batches: dict[str, tuple[int, int]] = {}
        self.broken, self.pending, self.gpu = broken, pending, gpu

    def models(self) -> dict[str, str]:
        return {name: "" for name, _ in self.registered}

    def describe(self, model: str, version: str = "all") -> list[Version]:
        versions = [self._version(*key) for key in self.registered if key[0] == model and version in ("all", key[1])]
        if not versions:
            raise NotRegistered(f"no {model}")
        return versions

    def register(self, model: str, archive: str, workers: int, batch_size: int, max_batch_delay: int) -> None:
        self.registered[model, archive.removesuffix(".mar").rpartition("-")[2]] = 1
        self.batches[model] = (batch_size, max_batch_delay)

    def scale(self, model: str, version: str, workers: int) -> None:
        self.registered[model, version] = workers

    def set_default(self, model: str, version: str) -> None:
        self.defaults[model] = version

    def unregister(self, model: str, version: str) -> None:
        if self.registered.pop((model, version), None) is None:
            raise NotRegistered(f"no {model}")

    def await_ready(
        self,
        model: str,
        version: str,
        seconds: float,
        *,
        failure: Callable[[], str | None] = lambda: None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> Version:
        if model in self.broken:
            raise Refused(f"{model} {version} cannot be loaded: {failure()}")
        return self._version(model, version)

    def _version(self, model: str, version: str) -> Version:
        count = self.registered[model, version]
        status = "UNLOADING" if model in self.broken else "READY"
        workers = tuple(Worker(str(n), status, n, self.gpu, "") for n in range(count))
        return Version(model, version, "", count, workers, self.pending, 100)
