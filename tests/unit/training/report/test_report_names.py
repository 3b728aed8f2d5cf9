"""Whatever files and classes are called, the report is whole, and shows the names as text."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import orjson
import pytest
import torch
from PIL import Image

from tests.unit.training.colors import card
from tests.unit.training.data.test_folder import picture
from training import report
from training.data.dataset import Dataset
from training.data.folder import load
from training.evaluate import Evaluation
from training.report import Report
from training.report.pictures import mistakes

CLASSES = ("-rf", "$x_$^{a}", "<script>alert(1)<", "قطة", "日本 🙂", "_" + "long" * 50)
NAMES = (
    b"caf\xe9.png",
    b"\xff\xfe",
    b"new\nline.png",
    b"\x1b[31mred.png",
    "\u202egnp.exe.png".encode(),
    b"$\\frac{a$.png",
    b"x" * 251 + b".png",
    b"-rf.png",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("names") / os.fsdecode(b"data\xe9")
    for number, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for row, name in enumerate(NAMES):
            (root / label / os.fsdecode(name)).write_bytes(picture(100 * number + row))
    return load(root)[0]


def all_wrong(data: Dataset) -> Report:
    """A report on the training split, each image of which is answered with the next class."""
    labels = torch.tensor(data.train.labels)
    logits = 9 * torch.eye(len(CLASSES))[(labels + 1) % len(CLASSES)]
    test = Evaluation(card(data.classes), labels, logits)
    recipe = {"data": os.fsdecode(b"data\xe9"), "epochs": 1}
    return Report(test, data.train, f"the train split of {data.name}", recipe=recipe)


@pytest.mark.slow
def test_report_on_odd_names_is_whole(data: Dataset, tmp_path: Path) -> None:
    assert report.write(tmp_path, all_wrong(data)) == []
    names = {"confusion.png", "mistakes.png", "reliability.png", "metrics.json", "report.html"}
    assert {path.name for path in tmp_path.iterdir()} == names
    document = orjson.loads((tmp_path / "metrics.json").read_bytes())  # which takes valid Unicode alone
    assert document["recipe"]["data"] == document["source"].rpartition(" ")[2] == r"data\xe9"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert r"data\xe9" in page


def test_names_of_images_are_valid_text_and_the_files_are_still_read(data: Dataset) -> None:
    names = {name.rpartition("/")[2] for split in (data.train, data.calibration, data.test) for name in split.names}
    assert {r"caf\xe9.png", r"\xff\xfe", r"new\nline.png", r"\x1b[31mred.png", r"\u202egnp.exe.png"} <= names
    assert json.dumps(sorted(names), ensure_ascii=False).encode()
    assert all(Image.open(io.BytesIO(content)).size == (12, 12) for content in data.test.images)


def test_report_without_the_picture_that_failed(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, *_: object) -> None:
        path.write_bytes(b"half a picture")
        raise RuntimeError("no glyph for \udce9")

    monkeypatch.setattr(mistakes, "draw", broken)
    assert report.write(tmp_path, all_wrong(data)) == [
        r"mistakes.png of the report could not be drawn (RuntimeError: no glyph for \xe9)"
    ]
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "confusion.png",
        "reliability.png",
        "metrics.json",
        "report.html",
    }
