"""Each example of docs/reference/http.md runs unchanged against a real server.

A JSON block after an example is its response: `…` stands for any text, and a number for any number.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server

TEXT = (REPOSITORY / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
BLOCK = r"^```((?!json)\w+)\n(.*?)^```$(?:\n\n```json\n(.*?)^```$)?"
BLOCKS = re.findall(BLOCK, TEXT, re.MULTILINE | re.DOTALL)


def _node() -> bool:
    """Return whether there is a Node with `fetch`."""
    if shutil.which("node") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return int(version.lstrip("v").partition(".")[0] or 0) >= 18


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with the samples, where curl fails if a response is an error."""
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    (tmp_path / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    return tmp_path


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "CURL_HOME": str(folder), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_examples_cover_all_kinds_of_clients() -> None:
    languages = [language for language, _, _ in BLOCKS]
    assert set(languages) == {"sh", "python", "js"}
    assert languages.count("sh") >= 5
    clients = ("torchlight_client", "import requests", "tritonclient import http", "tritonclient import grpc", "fetch(")
    assert [client for client in clients if client not in TEXT] == []


def _pattern(response: str) -> str:
    """Return a regular expression for a response of the page."""
    pattern = re.escape(re.sub(r"\n *", "", response)).replace("…", ".*")
    return re.sub(r"(?<=[:\[,])\d[\d\\.]*(?=[,}\]])", r"-?[\\d.]+", pattern)


def test_responses_are_compared_without_their_numbers() -> None:
    pattern = _pattern('{"id":"…","label":"3","score":114.9,\n "index":3}\n')
    assert re.fullmatch(pattern, '{"id":"a","label":"3","score":0.25,"index":7}')
    assert not re.fullmatch(pattern, '{"id":"a","label":"4","score":0.25,"index":7}')


@pytest.mark.parametrize(
    ("language", "code", "response"),
    BLOCKS,
    ids=[f"{language}-{number}" for number, (language, _, _) in enumerate(BLOCKS)],
)
def test_the_example_runs(server: Server, folder: Path, language: str, code: str, response: str) -> None:
    here = code.replace("127.0.0.1:8080", server.url.removeprefix("http://"))
    assert here != code
    if language == "sh":
        said = _run(["bash", "-euo", "pipefail", "-c", here], folder)
    elif language == "python":
        said = _run([sys.executable, "-c", here], folder)
    else:
        if not _node():
            pytest.skip("no Node 18 on this machine")
        (folder / "example.mjs").write_text(here)
        said = _run(["node", "example.mjs"], folder)
    if "-o overlay.png" in code:
        assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")
    elif response:
        assert re.fullmatch(_pattern(response), said.strip()), said
    else:
        assert all(re.search(rf"\b{label}\b", said) for label in re.findall(r"samples/(\d)\.png", code)), said
