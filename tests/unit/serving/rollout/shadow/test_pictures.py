from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.rollout.shadow import pictures as module
from serving.rollout.shadow.comparison import ImagePair
from serving.rollout.shadow.pictures import Pictures

HEAT = np.arange(9.0).reshape(3, 3)


def pair(labels: tuple[str, str], change: float | None) -> ImagePair:
    return ImagePair(labels=labels, confidences=(0.5, 0.5), change=change, decisions=(None, None), same_set=True)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (500, 300)).save(buffer, "PNG")
    return buffer.getvalue()


def index(folder: Path) -> dict[str, list[dict[str, object]]]:
    document: dict[str, list[dict[str, object]]] = json.loads((folder / "pictures.json").read_text())
    return document


def test_the_maps_with_the_lowest_correlation_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MAPS", 2)
    pictures = Pictures(tmp_path, 0)
    for label, correlation in (("a", 0.9), ("b", 0.5)):
        pictures.add_maps(label, correlation, HEAT, HEAT)
    after_restart = Pictures(tmp_path, 0)
    for label, correlation in (("c", 0.95), ("d", 0.1)):
        after_restart.add_maps(label, correlation, HEAT, -HEAT)
    assert index(tmp_path)["maps"] == [
        {"label": "d", "correlation": 0.1, "number": 0},
        {"label": "b", "correlation": 0.5, "number": 1},
    ]
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == ["00-candidate.png", "00-stable.png", "01-candidate.png", "01-stable.png"]
    assert (tmp_path / "maps" / "00-stable.png").read_bytes() != (tmp_path / "maps" / "00-candidate.png").read_bytes()


def test_no_image_is_stored_unless_the_plan_says_so(tmp_path: Path) -> None:
    Pictures(tmp_path, 0).add_image(pair(("a", "b"), 0.9), png())
    assert list((tmp_path / "images").iterdir()) == []


def test_images_with_two_labels_come_first(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 2)
    pictures.add_image(pair(("a", "a"), None), png())
    pictures.add_image(pair(("a", "a"), 0.8), png())
    pictures.add_image(pair(("a", "b"), 0.3), b"a form")
    pictures.add_image(pair(("a", "c"), 0.3), png())
    pictures.add_image(pair(("a", "d"), None), png())
    assert [entry["labels"] for entry in index(tmp_path)["images"]] == [["a", "c"], ["a", "d"]]
    stored = sorted((tmp_path / "images").iterdir())
    assert [path.name for path in stored] == ["00.png", "01.png"]
    with Image.open(stored[0]) as image:
        assert image.size == (224, 134)
