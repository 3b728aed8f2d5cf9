"""Copies of requests, sent to one version through the proxy's private socket (deploy/haproxy/haproxy.cfg.jinja).

Explain workers answer them, which run at the lowest priority.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from serving.rollout.shadow.samples import Sample
from serving.torchserve import worker_roles

# A worker that takes longer than its responseTimeout (60 s by default) is killed.
TIMEOUT_SECONDS = 180.0
# A version that is overloaded or restarts is asked again, after a pause.
ATTEMPTS, PAUSE_SECONDS = 4, 0.5
# Every response of a handler has this header.
FROM_HANDLER = "x-model-version"
# Makes an explanation the bare maps (handlers/request.py).
MAPS_HEADER = "X-Torchlight-Maps"
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
        socket: the proxy's private socket.
        explain_workers: number of explain workers of each version. Without them, predict workers answer.
    """

    def __init__(self, socket: Path, model: str, explain_workers: int) -> None:
        self._worker = worker_roles.explaining_role(explain_workers).registered_name(model)
        transport = httpx.HTTPTransport(uds=str(socket))
        self._client = httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS)
        self._client.headers.clear()

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
            card: Any = httpx.Response(answer.status, content=answer.body).json()
            return str(card["explanations"]["method"])
        except (ValueError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, verb: str, version: str, headers: Mapping[str, str], body: bytes) -> ReplayedAnswer:
        url = f"http://shadow/{verb}/{self._worker}/{version}"
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            start = time.monotonic()
            try:
                response = self._client.post(url, headers=headers, content=body)
            except httpx.TransportError as error:
                problem = repr(error)
                continue
            from_handler = FROM_HANDLER in response.headers
            if response.status_code in (502, 503, 504) or (response.status_code == 404 and not from_handler):
                problem = f"status {response.status_code}"
                continue
            milliseconds = round((time.monotonic() - start) * 1000, 3)
            named = {name.lower(): value for name, value in response.headers.items()}
            return ReplayedAnswer(response.status_code, named, response.content, milliseconds, from_handler)
        raise NoAnswer(f"{self._worker} {version} does not answer: {problem}")
