"""From a folder of one's own images to an answer, by the commands that the README names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import requests

from tests.support.server import REPOSITORY, Server, environment, run
from tests.unit.training.data.test_folder import fill, picture

PHOTOS = "my photos & R$D (1)"


def make(folder: Path, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile in `folder`, by the Python of this test."""
    return subprocess.run(
        ["make", "--file", REPOSITORY / "Makefile", target, "PYTHON=true", *variables],
        cwd=folder,
        env=environment(folder / "tmp"),
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_a_folder_becomes_a_served_model(tmp_path: Path) -> None:
    fill(tmp_path / PHOTOS, cat=30, dog=20)
    (tmp_path / PHOTOS / "cat" / "broken.png").write_bytes(picture(0)[:90])
    (python := tmp_path / ".venv" / "bin" / "python").parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    launcher = python.with_name("torchlight")
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from scripts.cli import main; main()' \"$@\"\n")
    for program in (python, launcher):
        program.chmod(0o755)
    trained = make(tmp_path, "train", "MODEL=pets", f"DATA={PHOTOS}", "SIZE=16", "MORE=--epochs 8 --set 'seed=3'")
    assert trained.returncode == 0, trained.stderr
    assert f"left out: {PHOTOS}/cat/broken.png: the PNG image is cut short" in trained.stdout
    assert "releases/pets/1.0: 100.00% accuracy on 10 test images" in trained.stdout
    assert make(tmp_path, "archive", "MODEL=pets").returncode == 0
    with Server(tmp_path, "--model", "pets") as server:
        first, second = (f"{PHOTOS}/{label}/0.png" for label in ("cat", "dog"))
        port = f"PORT={server.ports.public}"
        asked = make(tmp_path, "predict", "MODEL=pets", port, f"IMAGE='{first}' '{second}'")
        assert asked.returncode == 0, asked.stderr
        assert [result["image"] for result in json.loads(asked.stdout)["results"]] == [first, second]
        explained = make(tmp_path, "explain", "MODEL=pets", port, f"IMAGE={first}", "OUT=why a $(cat).png")
        assert explained.returncode == 0, explained.stderr
        assert (tmp_path / "why a $(cat).png").is_file()
        for label, shade in (("cat", 20), ("dog", 60)):
            answer = requests.post(f"{server.url}/explanations/pets", data=picture(7, shade), timeout=30).json()
            assert answer["predictions"][0]["label"] == label
            assert answer["completeness"]["ok"] is True


def test_missing_data_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "scripts.train", "--model", "pets", "--data", "pets")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: data set 'pets' is neither a folder nor a known data set: give a folder")
    assert not (tmp_path / "releases").exists()
