"""Copies of requests, sent to one version through the proxy's private socket (deploy/haproxy/haproxy.cfg.jinja).

Explain workers answer them, which run at the lowest priority.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.rollout.shadow.samples import Sample
from serving.torchserve import worker_roles

# A worker that takes longer than its responseTimeout (60 s by default) is killed.
TIMEOUT_SECONDS = 180.0
# A version that is overloaded or restarts is asked again, after a pause.
ATTEMPTS, PAUSE_SECONDS = 4, 0.5
# Every response of a handler has this header.
FROM_HANDLER = "x-model-version"
# The mark of a copy, which workers do not count; and what makes an explanation the bare maps (handlers/request.py).
SHADOW_HEADER, MAPS_HEADER = "X-Torchlight-Shadow", "X-Torchlight-Maps"
METHOD_HEADER = "X-Explain-Method"


class NoAnswer(Exception):
    """A version did not answer a copy, for a reason that says nothing about the version."""


@dataclass(frozen=True, slots=True)
class ReplayedAnswer:
    """The answer to a copy.

    Attributes:
        headers: with names in lower case.
        milliseconds: from sending the copy to its answer.
        from_handler: False if the worker died with the request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float
    from_handler: bool


class ReplayClient:
    """Client of the explain workers of one model.

    Args:
        path: of the proxy's private socket.
        explain_workers: number of explain workers of each version. Without them, predict workers answer.
    """

    def __init__(self, path: Path, model: str, explain_workers: int) -> None:
        self._worker = worker_roles.explaining_role(explain_workers).registered_name(model)
        self._connection = _UnixConnection(path)

    def predict(self, version: str, sample: Sample) -> ReplayedAnswer:
        """Return the answer of a version to a copy of a prediction.

        Raises:
            NoAnswer: it is overloaded, restarts or is not registered.
        """
        return self._send("predictions", version, dict(sample.headers), sample.body)

    def explain(self, version: str, sample: Sample, method: str | None) -> ReplayedAnswer:
        """Return the attribution maps of a version for the images of a prediction, as .npy.

        Args:
            method: the attribution method. None takes the version's default.

        Raises:
            NoAnswer: it is overloaded, restarts or is not registered.
        """
        headers = {name: value for name, value in sample.headers.items() if name != "accept"} | {MAPS_HEADER: "1"}
        if method is not None:
            headers[METHOD_HEADER] = method
        return self._send("explanations", version, headers, sample.body)

    def default_method(self, version: str) -> str | None:
        """Return the default attribution method of a version, from its card; None if it does not say.

        Raises:
            NoAnswer: the version does not answer.
        """
        answer = self._send("predictions", version, {"describe": "True"}, b"")
        try:
            return str(json.loads(answer.body)["explanations"]["method"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, verb: str, version: str, headers: Mapping[str, str], body: bytes) -> ReplayedAnswer:
        path = f"/{verb}/{self._worker}/{version}"
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            start = time.monotonic()
            try:
                self._connection.request("POST", path, body, {**headers, SHADOW_HEADER: "1"})
                response = self._connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()  # the next request opens it again
                problem = repr(error)
                continue
            named = {name.lower(): value for name, value in response.getheaders()}
            from_handler = FROM_HANDLER in named
            if response.status in (502, 503, 504) or (response.status == 404 and not from_handler):
                problem = f"status {response.status}"
                continue
            milliseconds = round((time.monotonic() - start) * 1000, 3)
            return ReplayedAnswer(response.status, named, content, milliseconds, from_handler)
        raise NoAnswer(f"{self._worker} {version} does not answer: {problem}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("shadow", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
