"""torchlight-client in an empty environment: it installs as its guide says, and each of its examples runs unchanged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server

CLIENT = REPOSITORY / "clients" / "python"
README = (CLIENT / "README.md").read_text(encoding="utf-8")
GUIDE = (REPOSITORY / "docs" / "guides" / "python-client.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# What each example prints, in the order of the page.
README_OUTPUT = [
    r"3 0\.\d+ \w+\n1\n7\n",
    r"\['0', '1', '2'\]\n",
    r"\w+ .+\.\n415 UnsupportedImage 415 UnsupportedImage: .+\n",
]
GUIDE_OUTPUT = [
    r"3 0\.\d+\n(a person should look at this: .+\n)?",
    r"\['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'\]\n",
    r"\w+ .+\. \(.*\)\n",
    r"415 UnsupportedImage\n415 UnsupportedImage: .+\n",
    r"True\n",
]
EXAMPLES = [
    *zip(blocks(README, "python"), README_OUTPUT, strict=True),
    *zip(blocks(GUIDE, "python"), GUIDE_OUTPUT, strict=True),
]


def run(command: list[str], folder: Path, python: Path) -> str:
    """Run a command in an environment that has no package of this project, and return its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    environment["PIP_CONSTRAINT"] = str(REPOSITORY / "constraints.txt")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment in which the guide's commands have installed the client, from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(CLIENT, folder / "clients" / "python")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    for commands in blocks(GUIDE, "sh"):
        run(["bash", "-euo", "pipefail", "-c", commands], folder, python)
    assert len(list((folder / "dist").glob("torchlight_client-*.whl"))) == 1
    return python


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    return tmp_path


@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_example_of_the_client_runs(server: Server, python: Path, folder: Path, code: str, output: str) -> None:
    text = run([str(python), "-W", "error", "-c", code.replace("http://127.0.0.1:8080", server.url)], folder, python)
    assert re.fullmatch(output, text), text
    if "overlay.png" in code:
        assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")


def test_client_installs_httpx_and_nothing_large(python: Path, folder: Path) -> None:
    listing = json.loads(run([str(python), "-m", "pip", "list", "--format=json"], folder, python))
    names = {package["name"].lower() for package in listing}
    assert {"torchlight-client", "httpx"} <= names
    assert names & {"torchlight", "requests", "numpy", "pillow", "torch"} == set()
    run([str(python), "-m", "pip", "check"], folder, python)


def test_examples_are_typed_where_numpy_is_missing(python: Path, folder: Path) -> None:
    for number, (code, _) in enumerate(EXAMPLES):
        (folder / f"example{number}.py").write_text(code, encoding="utf-8")
    files = [str(path) for path in sorted(folder.glob("example*.py"))]
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache"]
    assert "Success" in run([*mypy, f"--python-executable={python}", *files], folder, python)


def test_examples_of_the_readme_fit_in_60_lines() -> None:
    assert sum(code.count("\n") for code in blocks(README, "python")) < 60
