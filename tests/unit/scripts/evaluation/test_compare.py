from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import cli
from scripts.evaluation import compare
from tests.unit.scripts import painted
from training import data


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two releases of different inputs, and one folder of images."""
    monkeypatch.chdir(tmp_path)
    painted.release(tmp_path / "releases", "1.0")
    painted.release(tmp_path / "releases", "2.0", size=12, classes=("blue", "red", "green"))
    painted.folder(tmp_path / "paint", each=30)
    return tmp_path


def test_two_releases_answer_the_same_images(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["compare", "colors/1.0", "colors/2.0", "--data", "paint"])
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "A = colors 1.0, B = colors 2.0: 18 images of the test split of paint"
    assert output[1].split() == ["A", "B", "B", "-", "A", "95", "%", "interval"]
    assert output[-2].startswith("accuracy: ")
    assert output[-1].startswith("probabilities: ")


def test_the_images_on_which_they_differ_are_named(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["compare", "colors/1.0", "colors", "--data", "paint", "--json"])
    document = json.loads(capsys.readouterr().out)
    named = document["right_by_a_alone"] + document["right_by_b_alone"]
    assert named
    dataset, _ = data.load("paint")
    assert set(named) <= {dataset.test.name(row) for row in range(len(dataset.test))}
    right = [document["accuracy"][letter] * document["images"] for letter in "ab"]
    assert right[1] - right[0] == pytest.approx(len(document["right_by_b_alone"]) - len(document["right_by_a_alone"]))


@pytest.mark.parametrize("names", [("colors/1.0", "colors/3.0"), ("colors/3.0", "colors/1.0")])
def test_a_release_that_may_have_seen_these_images_is_named(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, str]
) -> None:
    painted.release(elsewhere / "releases", "3.0", digest=data.load("paint")[0].sha256)
    cli.main(["compare", *names, "--data", "paint"])
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: colors 1.0 was trained on another data set or split; its training images may be among these"
    ]


def test_long_lists_of_names_are_shortened(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MAX_NAMES", 1)
    comparison = compare.run(compare.named("colors/1.0"), compare.named("colors/2.0"), "paint")
    output = capsys.readouterr().out
    longest = max(len(comparison.only_a), len(comparison.only_b))
    assert longest > 1
    assert f"and {longest - 1} more" in output


def test_a_release_may_be_named_as_its_folder(elsewhere: Path) -> None:
    assert compare.named("releases/colors/1.0/").card.version == "1.0"
    assert compare.named("colors").card.version == "2.0"


def test_different_classes_are_not_compared(elsewhere: Path) -> None:
    painted.release(elsewhere / "releases", "4.0", classes=("red", "green"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "colors/1.0", "colors/4.0", "--data", "paint"])
    assert ended.value.code == (
        "error: the releases have different classes: colors 1.0 knows red, green, blue; colors 4.0 knows red, green"
    )


@pytest.mark.parametrize("name", ["colors/9.0", "../colors", "shapes"])
def test_a_release_that_is_not_there_is_an_error(elsewhere: Path, name: str) -> None:
    with pytest.raises(SystemExit, match=r"^error: .*(no release|model name)"):
        cli.main(["compare", "colors/1.0", name, "--data", "paint"])
