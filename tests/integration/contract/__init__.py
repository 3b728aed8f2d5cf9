"""The rows of docs/reference/http.md, each as a test: `@row("key")` says which row a function holds to.

The key is a comment at the end of the row. An error type is the key of its row in docs/reference/errors.md.

One module for each section of the document; test_contract.py runs them.
"""

from __future__ import annotations

import base64
import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.support.server import Server

SECTIONS = ("endpoints", "bodies", "options", "headers", "answers", "explanations", "errors", "limits", "origins")
TIMEOUT = 60


@dataclass(frozen=True)
class Ask:
    """Arguments of a row's test: a running server, and the sample images by label.

    `fixture` gets what few rows need: `proxy`, of test_contract.py.
    """

    server: Server
    digit: dict[str, bytes]
    fixture: Callable[[str], Any]

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Send a body, or with `json=` or `files=` what these say."""
        return requests.post(self.server.url + path, data=body, timeout=TIMEOUT, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.server.url + path, timeout=TIMEOUT, **more)

    def b64(self, label: str) -> str:
        return base64.b64encode(self.digit[label]).decode()

    def v2(self, *labels: str, **more: Any) -> dict[str, Any]:
        """A request of the Open Inference Protocol with these images."""
        data = [self.b64(label) for label in labels]
        return {"inputs": [{"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}], **more}


ROWS: dict[str, Callable[[Ask], None]] = {}
Test = Callable[[Ask], None]


def row(*keys: str) -> Callable[[Test], Test]:
    """Name the row, or rows, of docs/reference/http.md that a function tests."""

    def register(test: Test) -> Test:
        for key in keys:
            assert key not in ROWS, f"two tests for the row {key}"
            ROWS[key] = test
        return test

    return register


def ok(answer: requests.Response) -> Any:
    """The JSON of a success."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def labels(answer: requests.Response) -> list[str]:
    """The most probable class of each image, in whichever of the three shapes the answer is."""
    body = ok(answer)
    if "outputs" in body:
        output = next(output for output in body["outputs"] if output["name"] == "label")
        rows, columns = output["shape"]
        return [output["data"][row * columns] for row in range(rows)]
    if "explanations" in body:
        return [entry["predictions"][0]["label"] for entry in body["explanations"]]
    if "model" not in body:
        return [entry["predictions"][0]["label"] for entry in body["predictions"]]
    return [result["predictions"][0]["label"] for result in body.get("results", [body])]


def failed(answer: requests.Response, status: int, kind: str) -> dict[str, Any]:
    """The JSON of an error of this status and type, whose shape is checked on the way."""
    assert answer.headers["Content-Type"] == "application/json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["type"]) == (status, status, kind), answer.text
    assert set(body) - {"error"} == {"code", "type", "message"}
    assert body.get("error", body["message"]) == body["message"]
    assert answer.headers["X-Request-Id"]
    return body


def told(port: int, request: bytes) -> bytes:
    """Return the proxy's response to these bytes, until it closes the connection or is silent for long."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall(request)
        said = b""
        while piece := connection.recv(65_536):
            said += piece
    return said


for _section in SECTIONS:
    pytest.register_assert_rewrite(f"{__name__}.{_section}")
    importlib.import_module(f"{__name__}.{_section}")
