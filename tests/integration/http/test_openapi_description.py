"""TorchServe's description of itself (OPTIONS) agrees with deploy/openapi.json about inference."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.server import Server

NAMES = {"{model_name}": "{model}", "{model_version}": "{version}"}


@pytest.fixture(scope="module")
def theirs(server: Server) -> dict[str, Any]:
    """TorchServe's description of its inference API, and of the model (whose path it misspells, /prediction/digits)."""
    paths: dict[str, Any] = {}
    for path in ("/", "/predictions/digits"):
        paths |= requests.options(server.direct + path, headers=server.key("inference"), timeout=30).json()["paths"]
    return paths


@pytest.fixture(scope="module")
def ours(server: Server) -> dict[str, Any]:
    return requests.get(f"{server.url}/openapi.json", timeout=30).json()


def test_each_path_that_torchserve_names_is_described_or_closed(
    server: Server, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    described, closed = [], []
    for path, item in theirs.items():
        for method in item:
            if method in ours["paths"].get(_named_as_ours(path), {}):
                described.append(f"{method} {path}")
            else:
                closed.append(f"{method} {path}")
                real = path.replace("{model_name}", "digits").replace("{model_version}", "1.0")
                closed_with = 204 if method == "options" else 404
                answer = requests.request(method, server.url + real, timeout=30)
                assert (answer.status_code, answer.content[:1]) == (closed_with, b"" if closed_with == 204 else b"{")
    assert sorted(described) == [
        "get /ping",
        "post /predictions/{model_name}",
        "post /predictions/{model_name}/{model_version}",
        "post /v1/models/{model_name}:predict",
        "post /v2/models/{model_name}/infer",
    ]
    assert sorted(closed) == ["get /api-description", "get /metrics", "options /", "post /prediction/digits"]


def test_operations_described_by_torchserve_too_agree(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for path, item in theirs.items():
        for method, operation in item.items():
            own = ours["paths"].get(_named_as_ours(path), {}).get(method)
            if own is None:
                continue
            assert "requestBody" in own or "requestBody" not in operation
            # TorchServe takes and gives anything (*/*); where it names a type, it is that of ours.
            assert set(operation.get("requestBody", {"content": {"*/*": {}}})["content"]) == {"*/*"}
            given = _resolved(ours, own["responses"]["200"])["content"]
            assert set(operation["responses"]["200"].get("content", ["*/*"])) & {"*/*", *given}
            for status in operation["responses"]:
                assert status in own["responses"] or f"{status[0]}XX" in own["responses"]
            theirs_in_path = {NAMES["{" + one["name"] + "}"] for one in operation.get("parameters", [])}
            assert all(name in _named_as_ours(path) for name in theirs_in_path)


def _named_as_ours(path: str) -> str:
    for name, own in NAMES.items():
        path = path.replace(name, own)
    return path


def _resolved(document: dict[str, Any], reference: dict[str, str]) -> dict[str, Any]:
    found: Any = document
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)
