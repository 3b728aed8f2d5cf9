"""Golden images as requests: the number that a version gets, by a client that notes them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from models.golden import ANSWERS, FOLDER
from serving.artifacts.store import Archive
from serving.rollout.golden_requests import LATENCIES, HttpGoldenRequests


class NotingClient:
    """A client that notes which version it asked for which image."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []

    def __enter__(self) -> NotingClient:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def predict(self, model: str, image: bytes, version: str) -> None:
        self.asked.append((image, version))


def archive(folder: Path, images: int) -> Archive:
    """Return an archive with so many golden images, and with the files that are read alone."""
    path = folder / "digits-2.0.mar"
    names = [f"{number:02}.png" for number in range(images)]
    with zipfile.ZipFile(path, "w") as mar:
        golden = {"probabilities": {name: [1.0] for name in names}, "labels": ["0"], "tolerance": 0.001}
        mar.writestr(ANSWERS, json.dumps(golden))
        for name in names:
            mar.writestr(f"{FOLDER}/{name}", name)
    return Archive(path, "digits", "2.0")


@pytest.fixture
def client() -> NotingClient:
    return NotingClient()


@pytest.fixture
def golden(client: NotingClient) -> HttpGoldenRequests:
    made: Any = client
    return HttpGoldenRequests(lambda: made, lambda archive: 0)


def test_warm_up_sends_so_many_predictions_in_turn(
    tmp_path: Path, client: NotingClient, golden: HttpGoldenRequests
) -> None:
    golden.warm_up(archive(tmp_path, 3), 7)
    assert [image.decode()[:2] for image, _ in client.asked] == ["00", "01", "02", "00", "01", "02", "00"]
    assert {version for _, version in client.asked} == {"2.0"}


@pytest.mark.parametrize("images", [1, 3, 10, 77])
def test_both_versions_get_enough_images_in_turn(
    tmp_path: Path, client: NotingClient, golden: HttpGoldenRequests, images: int
) -> None:
    stable, candidate = golden.latencies(archive(tmp_path, images), ("1.0", "2.0"))
    assert len(stable) == len(candidate) >= LATENCIES
    assert len(stable) % images == 0
    assert [version for _, version in client.asked] == ["1.0", "2.0"] * len(stable)
