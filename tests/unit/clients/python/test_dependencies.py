"""The client needs httpx alone, and loads it only when a client is made."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import torchlight_client

ROOT = Path(__file__).resolve().parents[4]
CLIENT = ROOT / "clients" / "python"
# Importing these fails, as it does where they are not installed.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({names!r}))\n"


def output(code: str, without: list[str]) -> str:
    """Run code in a fresh Python that lacks some packages, and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=without) + code],
        env={"PYTHONPATH": str(CLIENT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_public_names_exist() -> None:
    assert [name for name in torchlight_client.__all__ if not hasattr(torchlight_client, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        torchlight_client.Klient  # noqa: B018


def test_clients_work_without_numpy_and_pil() -> None:
    code = """
from torchlight_client import AsyncClient, Client, NoServer
client = Client("http://127.0.0.1:1", retries=0)
for image in (b"bytes", [b"first", b"second"]):
    try:
        client.predict("pets", image)
    except NoServer:
        print("sent")
try:
    client.heat_map("pets", b"bytes")
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    assert output(code, ["numpy", "PIL", "requests", "torch"]) == (
        "sent\nsent\nnumpy heat_map() returns a NumPy array, and numpy is not installed: install "
        "torchlight-client[numpy], or use explain(), whose heatmap_png needs no NumPy\n"
    )


def test_errors_and_answers_are_imported_without_httpx() -> None:
    assert (
        output("from torchlight_client import Prediction, TorchlightError; print('imported')", ["httpx"])
        == "imported\n"
    )


def test_the_distribution_declares_what_the_client_imports() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [requirement.partition(">")[0] for requirement in project["dependencies"]] == ["httpx"]
    assert project["optional-dependencies"] == {"numpy": ["numpy"]}
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (CLIENT / "src" / "torchlight_client" / "py.typed").is_file()
