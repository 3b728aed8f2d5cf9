from __future__ import annotations

import base64
from pathlib import Path

import pytest

from serving.rollout.report import map_pairs
from serving.rollout.report.map_pairs import FOLDER, MAX_BYTES, PAIRS
from tests.support import rollout_records
from tests.support.rollout_records import Recorder, png


def test_pairs_have_both_pictures_label_and_correlation(tmp_path: Path) -> None:
    recorder, problems = rollout_records.held(tmp_path), list[str]()
    pairs = map_pairs.read(recorder.record, problems)
    assert problems == []
    assert [(pair.number, pair.label, pair.correlation) for pair in pairs] == [
        ("00", "3", 0.0),
        ("01", "3", 0.1),
        ("02", "3", 0.2),
    ]
    assert base64.b64decode(pairs[0].stable.partition("base64,")[2]) == png("red")
    assert base64.b64decode(pairs[0].candidate.partition("base64,")[2]) == png("blue")


def test_without_pairs_jsonl_the_pictures_stay(tmp_path: Path) -> None:
    recorder = rollout_records.held(tmp_path)
    (recorder.record.folder / PAIRS).unlink()
    assert [pair.correlation for pair in map_pairs.read(recorder.record, [])] == [None, None, None]


@pytest.mark.parametrize("content", [None, b"", b"<svg onload=alert(1)>", png("red") + bytes(MAX_BYTES)])
def test_missing_or_foreign_picture_is_named(content: bytes | None, tmp_path: Path) -> None:
    recorder, problems = rollout_records.held(tmp_path), list[str]()
    path = recorder.record.folder / FOLDER / "01-candidate.png"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert [pair.number for pair in map_pairs.read(recorder.record, problems)] == ["00", "02"]
    assert problems == ["The attribution maps of pair 01 are missing or damaged."]


def test_record_without_maps_has_no_pairs(tmp_path: Path) -> None:
    problems = list[str]()
    assert map_pairs.read(Recorder(tmp_path).record, problems) == []
    assert problems == []
