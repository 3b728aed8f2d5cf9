"""From a folder of one's own images to an answer, by the commands that the README names."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.integration.server import Server, run
from tests.unit.training.test_folder import fill, picture


def test_a_folder_becomes_a_served_model(tmp_path: Path) -> None:
    fill(tmp_path / "pets", cat=30, dog=20)
    (tmp_path / "pets" / "cat" / "broken.png").write_bytes(picture(0)[:90])
    trained = run(tmp_path, "scripts.train", "--model", "pets", "--data", "pets", "--image-size", "16", "--epochs", "8")
    assert trained.returncode == 0, trained.stderr
    assert "left out: pets/cat/broken.png: the PNG image is cut short" in trained.stdout
    assert "releases/pets/1.0: 100.00% right on 10 test images" in trained.stdout
    assert run(tmp_path, "scripts.archive", "--model", "pets").returncode == 0
    with Server(tmp_path, "--model", "pets") as server:
        for label, shade in (("cat", 20), ("dog", 60)):
            answer = requests.post(f"{server.url}/explanations/pets", data=picture(7, shade), timeout=30).json()
            assert answer["predictions"][0]["label"] == label
            assert answer["completeness"]["ok"] is True


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "scripts.train", "--model", "pets", "--data", "pets")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: DATA=pets is neither a folder nor a known data set: give a folder")
    assert not (tmp_path / "releases").exists()
