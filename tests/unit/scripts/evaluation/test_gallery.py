from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from handlers.pipeline import Pipeline
from scripts import cli
from scripts.evaluation.gallery import page
from tests.unit.scripts import painted
from tests.unit.training.colors import UNCERTAINTY

OUT = Path("explanations/colors-1.0-on-paint")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one release, and a folder of six images in folders of its classes."""
    monkeypatch.chdir(tmp_path)
    painted.release(tmp_path / "releases", "1.0", uncertainty=UNCERTAINTY)
    painted.folder(tmp_path / "paint", each=2)
    return tmp_path


@pytest.fixture
def explained_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that the model was asked about."""
    names: list[str] = []
    answer = Pipeline.answer

    def noted(self: Pipeline, batch: Any) -> Any:
        names.extend(incoming.request_id for incoming in batch)
        return answer(self, batch)

    monkeypatch.setattr(Pipeline, "answer", noted)
    return names


class Cards(HTMLParser):
    """Return the text of the page's cards by the picture they show."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._open: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "article":
            self._open = values
        if tag == "img":
            self.found[os.fsdecode(unquote_to_bytes(values["src"]))] = self._open


def cards(out: Path = OUT) -> dict[str, dict[str, str]]:
    parser = Cards()
    parser.feed((out / "index.html").read_text(encoding="utf-8"))
    return parser.found


def answers(out: Path = OUT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def explain(*flags: str) -> None:
    cli.main(["gallery", "paint", "--model", "colors", *flags])


def test_every_image_has_a_card_a_picture_and_an_answer(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain()
    names = [f"{label}/{number}.png" for label in ("blue", "green", "red") for number in range(2)]
    entries = answers()
    assert [entry["image"] for entry in entries] == names
    assert list(cards()) == [f"overlays/{name}.png" for name in names]
    for entry, card in zip(entries, cards().values(), strict=True):
        assert (OUT / entry["overlay"]).read_bytes().startswith(b"\x89PNG")
        best = entry["answer"]["predictions"][0]
        assert (card["data-label"], float(card["data-probability"])) == (best["label"], best["probability"])
        assert card["data-decision"] == entry["answer"]["decision"]
        assert entry["answer"]["regions"]["sentence"]
        assert "overlay_png" not in entry["answer"]
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "colors 1.0, ig: 6 of 6 images explained"
    assert output[-1] == f"{OUT}/index.html"


def test_answers_that_the_folders_contradict_are_counted(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain()
    wrong = [entry for entry in answers() if entry["answer"]["predictions"][0]["label"] not in entry["image"]]
    assert len(wrong) > 0
    assert sum(card["data-wrong"] == "1" for card in cards().values()) == len(wrong)
    assert f"{len(wrong)} of 6 predictions are wrong" in capsys.readouterr().out


def test_folders_that_are_no_classes_say_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "paint").rename(elsewhere / "other")
    for path in (elsewhere / "other").iterdir():
        path.rename(path.with_name(f"my {path.name}"))
    cli.main(["gallery", "other", "--model", "colors", "--out", "here"])
    assert "wrong" not in capsys.readouterr().out
    assert {card["data-wrong"] for card in cards(Path("here")).values()} == {"0"}


@pytest.mark.parametrize(
    ("image", "truth"),
    [
        ("red/1.png", "red"),
        ("red/2024/1.png", "red"),
        ("red/green/1.png", "green"),
        ("red.png", None),
        ("x/1.png", None),
    ],
)
def test_the_innermost_folder_named_as_a_class_is_the_truth(image: str, truth: str | None) -> None:
    assert page.truth(image, ("red", "green")) == truth


def test_a_second_run_explains_what_is_new_or_was_changed(elsewhere: Path, explained_names: list[str]) -> None:
    explain()
    first = answers()
    explained_names.clear()
    Image.new("RGB", (10, 10), (200, 0, 0)).save("paint/red/0.png")
    Image.new("RGB", (10, 10), (0, 200, 0)).save("paint/green/9.png")
    Path("paint/blue/1.png").unlink()
    (OUT / "overlays/green/1.png.png").unlink()
    explain()
    assert explained_names == ["green/1.png", "green/9.png", "red/0.png"]
    assert [entry for entry in answers() if entry["image"] == "blue/0.png"] == first[:1]
    assert len(answers()) == len(cards()) == 6


def test_a_run_that_was_killed_goes_on(elsewhere: Path, explained_names: list[str]) -> None:
    explain()
    explained_names.clear()
    path = OUT / "answers.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:4])[:-30], encoding="utf-8")
    explain()
    assert explained_names == ["green/1.png", "red/0.png", "red/1.png"]
    assert len(answers()) == len(cards()) == 6


def test_gallery_restarts_for_another_method_release_or_flag(elsewhere: Path, explained_names: list[str]) -> None:
    for flags in ((), ("--method", "ixg"), ("--method", "ixg", "--restart")):
        explained_names.clear()
        explain("--out", "here", *flags)
        assert len(explained_names) == 6
    assert {entry["answer"]["method"] for entry in answers(Path("here"))} == {"ixg"}
    painted.release(elsewhere / "releases", "2.0", uncertainty=UNCERTAINTY)
    explained_names.clear()
    explain("--out", "here")
    assert len(explained_names) == 6
    assert {entry["answer"]["version"] for entry in answers(Path("here"))} == {"2.0"}


def test_a_file_that_is_no_image_is_listed_and_the_others_are_explained(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], explained_names: list[str]
) -> None:
    Path("paint/red/<b>broken</b>.jpg").parent.mkdir(parents=True)
    Path("paint/red/<b>broken</b>.jpg").write_bytes(b"not an image")
    explain()
    text = (OUT / "index.html").read_text(encoding="utf-8")
    assert "1 file was not explained" in text
    assert "&lt;b&gt;broken&lt;/b&gt;.jpg: " in text
    assert "<b>" not in text
    assert len(cards()) == 6
    assert "not explained: red/<b>broken</b>.jpg" in capsys.readouterr().out
    explained_names.clear()
    explain()
    assert explained_names == ["red/<b>broken</b>.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a #1 100%.png", "ü é.png", "q?x=1&y.png", 'quo"te.png', "\udcff.png", "B.JPEG"])
def test_any_file_name_is_linked(elsewhere: Path, name: str) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(Path("paint") / name, format="PNG")
    explain()
    assert all((OUT / source).is_file() for source in cards())
    assert len(cards()) == 7


def test_hidden_files_and_the_gallery_itself_are_passed_over(elsewhere: Path) -> None:
    Path("paint/.hidden").mkdir()
    Image.new("RGB", (9, 9)).save("paint/.hidden/1.png")
    Image.new("RGB", (9, 9)).save("paint/._1.png")
    for _ in range(2):
        explain("--out", "paint/gallery")
        assert len(answers(Path("paint/gallery"))) == 6


def test_the_page_needs_nothing_but_its_pictures(elsewhere: Path) -> None:
    explain()
    text = (OUT / "index.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert "<link" not in text
    assert str(elsewhere) not in text


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (["nowhere"], "nowhere is not a folder: name a folder with images"),
        (["releases"], "releases has no images"),
        (["paint", "--method", "tea-leaves"], "tea-leaves"),
        (["paint", "--version", "7.0"], "no release 7.0 of 'colors'"),
        (["paint", "--device", "tpu"], "device 'tpu' cannot be used"),
    ],
)
def test_impossible_gallery_is_refused_in_one_sentence(elsewhere: Path, flags: list[str], output: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["gallery", *flags, "--model", "colors"])
    assert str(ended.value.code).startswith("error: ")
    assert output in str(ended.value.code)
    assert not (OUT / "index.html").exists()


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["gallery", "--help"])
    output = capsys.readouterr().out
    assert output.startswith("Usage: torchlight gallery")
    assert 'torchlight gallery "new images" --model cells' in output
    assert {"--model", "--version", "--out", "--method", "--restart"} <= set(output.replace(",", " ").split())
