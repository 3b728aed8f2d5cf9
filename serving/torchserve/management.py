"""A typed client of TorchServe's management API (pytorch.org/serve/management_api.html), on loopback.

Only reads are retried after a failed connection. After a change without a response, the caller has to look up whether
the change was made.
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
    """A worker process. Its `status` is READY, or UNLOADING while it loads."""

    id: str
    status: str
    pid: int
    gpu: bool
    started: str


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version of a model.

    Attributes:
        configured: the number of workers that it should have.
        pending: the number of requests in its queue.
    """

    model: str
    version: str
    archive: str
    configured: int
    workers: tuple[Worker, ...]
    pending: int
    queue_left: int

    @property
    def ready(self) -> int:
        """Return the number of READY workers. TorchServe's /ping already says Healthy while workers load."""
        return sum(worker.status == "READY" for worker in self.workers)

    @property
    def is_ready(self) -> bool:
        """Return whether all configured workers are READY, and there are no others."""
        return 0 < self.configured == self.ready == len(self.workers)


class Management:
    """The management API of one TorchServe on this machine.

    Every method raises a ManagementError if TorchServe does not respond, or responds with an error.
    """

    def __init__(self, port: int, keys: KeyFile, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._keys = keys
        self._timeout = timeout

    @classmethod
    def of(cls, instance: Instance, timeout: float = TIMEOUT_SECONDS) -> Management:
        """Return the client for a server of Torchlight, with the key file in its folder."""
        return cls(instance.ports.management, KeyFile.of(instance), timeout)

    def models(self) -> dict[str, str]:
        """Return the registered models, each with the archive of its default version."""
        archives: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._call("GET", "/models", {"limit": "100"} | ({"next_page_token": token} if token else {}))
            archives |= {item["modelName"]: item["modelUrl"] for item in page["models"]}
            token = page.get("nextPageToken")
            if not token:
                return archives

    def describe(self, model: str, version: str = "all") -> list[Version]:
        """Return the versions of a model, or a single one of them."""
        return [_version(item) for item in self._call("GET", f"/models/{model}/{version}")]

    def find(self, model: str, version: str) -> Version | None:
        """Return a version, or None if it is not registered."""
        try:
            return self.describe(model, version)[0]
        except NotRegistered:
            return None

    def register(self, model: str, archive: str, workers: int, batch_size: int, max_batch_delay: int) -> None:
        """Register an archive of the model store and start its workers. Returns before they are READY.

        Settings in the archive's own model-config.yaml take precedence over these arguments. The call is asynchronous,
        because a synchronous one blocks a thread that inference uses too.
        """
        query = {"url": archive, "model_name": model, "initial_workers": str(workers), "synchronous": "false"}
        query |= {"batch_size": str(batch_size), "max_batch_delay": str(max_batch_delay)}
        self._call("POST", "/models", query)

    def scale(self, model: str, version: str, workers: int) -> None:
        """Set the number of workers. Returns before they are READY."""
        query = {"min_worker": str(workers), "max_worker": str(workers), "synchronous": "false"}
        self._call("PUT", f"/models/{model}/{version}", query)

    def set_default(self, model: str, version: str) -> None:
        """Make a version the default, which answers requests without a version."""
        self._call("PUT", f"/models/{model}/{version}/set-default")

    def unregister(self, model: str, version: str) -> None:
        """Remove a version and its workers. Its pending requests are never answered, so drain it first."""
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
            failure: called at each poll. A reason that it returns ends the wait with an error.
            progress: called with the number of READY workers, each time that it changes.
        """
        deadline, shown = time.monotonic() + seconds, ""
        while True:
            registered = self.find(model, version)
            if registered is not None and registered.is_ready:
                return registered
            if (reason := failure()) is not None:
                raise Refused(f"{model} {version} cannot be loaded: {reason}")
            state = f"{registered.ready} of {registered.configured} READY" if registered else "not registered"
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
                reason = "in time" if isinstance(error, requests.Timeout) else "at all"
                raise Unreachable(
                    f"the management API at {self._url} does not answer {reason}: is the server running "
                    "(`torchlight serve`)?"
                ) from None
        try:
            body = answer.json()
        except ValueError:
            raise Refused(f"{method} {path}: {answer.status_code}, and the body is not JSON") from None
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
