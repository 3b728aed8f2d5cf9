from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from serving.rollout.report import pictures
from serving.rollout.report.pictures import MAX_BYTES
from serving.rollout.shadow.files import FOLDER, PICTURES
from tests.support import rollout_records
from tests.support.rollout_records import Recorder, png


def decoded(address: str) -> bytes:
    return base64.b64decode(address.partition("base64,")[2])


def test_pairs_have_both_maps_label_and_correlation(tmp_path: Path) -> None:
    recorder, problems = rollout_records.held(tmp_path), list[str]()
    maps = pictures.read(recorder.record, problems).maps
    assert problems == []
    assert [(pair.label, pair.correlation) for pair in maps] == [("3", 0.0), ("3", 0.1), ("3", 0.2)]
    assert (decoded(maps[0].stable), decoded(maps[0].candidate)) == (png("red"), png("blue"))


def test_kept_images_have_both_labels(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.pictures(0, 2)
    shown = pictures.read(recorder.record, [])
    assert [(image.labels, image.change) for image in shown.images] == [(("3", "8"), 0.5)] * 2
    assert decoded(shown.images[0].picture) == png("green")


@pytest.mark.parametrize("content", [None, b"", b"<svg onload=alert(1)>", png("red") + bytes(MAX_BYTES)])
def test_missing_or_foreign_picture_is_named(content: bytes | None, tmp_path: Path) -> None:
    recorder, problems = Recorder(tmp_path), list[str]()
    recorder.pictures(2, 2)
    for name in ("maps/01-candidate.png", "images/00.png"):
        path = recorder.record.folder / FOLDER / name
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    shown = pictures.read(recorder.record, problems)
    assert (len(shown.maps), len(shown.images)) == (1, 1)
    assert problems == [
        "The attribution maps of pair 1 are missing or damaged.",
        "Image 0 is missing or damaged.",
    ]


@pytest.mark.parametrize("index", [[], {"maps": 3}, {"maps": [1, {"label": "3"}], "images": [{"number": "../x"}]}])
def test_damaged_index_shows_nothing(index: Any, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.pictures(1)
    (recorder.record.folder / FOLDER / PICTURES).write_text(json.dumps(index))
    shown = pictures.read(recorder.record, [])
    assert (shown.maps, shown.images) == ([], [])


def test_record_without_pictures_has_none(tmp_path: Path) -> None:
    problems = list[str]()
    assert pictures.read(Recorder(tmp_path).record, problems).maps == []
    assert problems == []
