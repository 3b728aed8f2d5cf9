"""A typed client of TorchServe's management API (pytorch.org/serve/management_api.html), on loopback.

Reading is tried again where the connection failed; nothing else is: whether a change that got no answer was made is for
the caller to look up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import requests

from serving.errors import Conflict, ManagementError, NotRegistered, Refused, Unauthorized, Unreachable
from serving.runtime import loopback
from serving.runtime.instance import Instance
from serving.torchserve.tokens import KeyFile

TIMEOUT_SECONDS = 10.0
READ_ATTEMPTS = 3
POLL_SECONDS = 0.2
Method = Literal["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process; `status` is READY, or UNLOADING while it loads."""

    id: str
    status: str
    pid: int
    gpu: bool
    started: str


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model. `pending` requests wait in its queue."""

    model: str
    version: str
    archive: str
    configured: int
    workers: tuple[Worker, ...]
    pending: int
    queue_left: int

    @property
    def ready(self) -> int:
        """How many workers are READY. TorchServe's /ping says Healthy while they load; this is what counts."""
        return sum(worker.status == "READY" for worker in self.workers)

    @property
    def is_ready(self) -> bool:
        """Whether as many workers as wanted are READY, and no others are left."""
        return 0 < self.configured == self.ready == len(self.workers)


class Management:
    """The management API of one TorchServe on this machine.

    Every method raises a ManagementError where TorchServe does not answer, or not with a success.
    """

    def __init__(self, port: int, keys: KeyFile, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._keys = keys
        self._timeout = timeout

    @classmethod
    def of(cls, instance: Instance, timeout: float = TIMEOUT_SECONDS) -> Management:
        """Return the client of one server of ours, with the key file in the server's folder."""
        return cls(instance.ports.management, KeyFile.of(instance), timeout)

    def models(self) -> dict[str, str]:
        """The registered models, each with the archive of its default version."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._call("GET", "/models", {"limit": "100"} | ({"next_page_token": token} if token else {}))
            found |= {item["modelName"]: item["modelUrl"] for item in page["models"]}
            token = page.get("nextPageToken")
            if not token:
                return found

    def describe(self, model: str, version: str = "all") -> list[Version]:
        """The versions of a model, or one of them."""
        return [_version(item) for item in self._call("GET", f"/models/{model}/{version}")]

    def find(self, model: str, version: str) -> Version | None:
        """One version, or None where it is not registered."""
        try:
            return self.describe(model, version)[0]
        except NotRegistered:
            return None

    def register(self, model: str, archive: str, workers: int, batch_size: int, max_batch_delay: int) -> None:
        """Register an archive of the model store and start its workers; returns before they are READY.

        What the archive's own model-config.yaml says of workers and batches holds before what is said here.

        Asynchronously: a synchronous call holds one of the threads that inference shares.
        """
        query = {"url": archive, "model_name": model, "initial_workers": str(workers), "synchronous": "false"}
        query |= {"batch_size": str(batch_size), "max_batch_delay": str(max_batch_delay)}
        self._call("POST", "/models", query)

    def scale(self, model: str, version: str, workers: int) -> None:
        """Ask for so many workers; returns before they are READY."""
        query = {"min_worker": str(workers), "max_worker": str(workers), "synchronous": "false"}
        self._call("PUT", f"/models/{model}/{version}", query)

    def set_default(self, model: str, version: str) -> None:
        """Make a version the one that answers those who name none."""
        self._call("PUT", f"/models/{model}/{version}/set-default")

    def unregister(self, model: str, version: str) -> None:
        """Remove a version and its workers. Requests that it still has are never answered: drain first."""
        self._call("DELETE", f"/models/{model}/{version}")

    def await_ready(
        self,
        model: str,
        version: str,
        seconds: float,
        *,
        failure: Callable[[], str | None] = lambda: None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> Version:
        """Wait until every worker of a version is READY.

        Args:
            failure: asked at each look; what it returns ends the waiting as the reason.
            progress: told how many are READY, each time that changes.
        """
        deadline, shown = time.monotonic() + seconds, ""
        while True:
            found = self.find(model, version)
            if found is not None and found.is_ready:
                return found
            if (reason := failure()) is not None:
                raise Refused(f"{model} {version} cannot be loaded: {reason}")
            state = f"{found.ready} of {found.configured} READY" if found else "not registered"
            if state != shown:
                shown = state
                progress(f"{model} {version}: {state}")
            if time.monotonic() > deadline:
                raise Refused(f"{model} {version}: {state} after {seconds:.0f} s; see the server's log")
            time.sleep(POLL_SECONDS)

    def _call(self, method: Method, path: str, query: dict[str, str] | None = None) -> Any:
        attempts = READ_ATTEMPTS if method == "GET" else 1
        while True:
            attempts -= 1
            headers = {"Authorization": f"Bearer {self._keys.token('management')}"}
            try:
                answer = loopback.request(
                    method, self._url + path, params=query, headers=headers, timeout=self._timeout
                )
                break
            except (requests.ConnectionError, requests.Timeout) as error:
                if attempts:
                    time.sleep(POLL_SECONDS)
                    continue
                kind = "in time" if isinstance(error, requests.Timeout) else "at all"
                raise Unreachable(
                    f"the management API at {self._url} does not answer {kind}: is the server running (`make serve`)?"
                ) from None
        try:
            body = answer.json()
        except ValueError:
            raise Refused(f"{method} {path}: {answer.status_code} with no JSON") from None
        if answer.status_code not in (200, 202):
            raise _error(answer.status_code, f"{method} {path}", body)
        return body


def _error(status: int, call: str, body: Any) -> ManagementError:
    message = str(body.get("message", body)) if isinstance(body, dict) else str(body)
    kinds: dict[int, type[ManagementError]] = {401: Unauthorized, 404: NotRegistered, 409: Conflict}
    kind = kinds.get(status, Refused)
    if "token" in message.lower() and status == 400:  # InvalidKeyException (org.pytorch.serve.http)
        kind = Unauthorized
    return kind(f"TorchServe answered {call} with {status}: {message.strip()}")


def _version(item: dict[str, Any]) -> Version:
    queue = item.get("jobQueueStatus", {})
    return Version(
        model=item["modelName"],
        version=item["modelVersion"],
        archive=item["modelUrl"],
        configured=int(item["minWorkers"]),
        workers=tuple(
            Worker(worker["id"], worker["status"], int(worker["pid"]), bool(worker["gpu"]), worker["startTime"])
            for worker in item["workers"]
        ),
        pending=int(queue.get("pendingRequests", 0)),
        queue_left=int(queue.get("remainingCapacity", 0)),
    )
