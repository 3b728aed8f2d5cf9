"""Each example of docs/reference/http.md runs unchanged against a real server. JSON blocks are responses."""

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
BLOCKS = re.findall(r"^```((?!json)\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


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
    languages = [language for language, _ in BLOCKS]
    assert set(languages) == {"sh", "python", "js"}
    assert languages.count("sh") >= 5
    clients = ("torchlight_client", "import requests", "tritonclient import http", "tritonclient import grpc", "fetch(")
    assert [client for client in clients if client not in TEXT] == []


@pytest.mark.parametrize(
    ("language", "code"), BLOCKS, ids=[f"{language}-{number}" for number, (language, _) in enumerate(BLOCKS)]
)
def test_the_example_runs(server: Server, folder: Path, language: str, code: str) -> None:
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
    elif "health" in code:
        assert said == '{"ready":true}'
    else:
        assert all(re.search(rf"\b{label}\b", said) for label in re.findall(r"samples/(\d)\.png", code)), said
