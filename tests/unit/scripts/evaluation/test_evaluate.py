from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import cli
from scripts.evaluation import evaluate
from tests.unit.scripts import painted
from tests.unit.training.colors import UNCERTAINTY
from training import data


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one release and one folder of images."""
    monkeypatch.chdir(tmp_path)
    painted.release(tmp_path / "releases", "1.0", uncertainty=UNCERTAINTY)
    painted.folder(tmp_path / "paint")
    return tmp_path


@pytest.mark.slow
def test_a_release_is_measured_on_any_folder(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["evaluate", "--model", "colors", "--data", "paint"])
    output = capsys.readouterr().out.splitlines()
    metrics = json.loads(Path("evaluations/colors-1.0-on-paint/metrics.json").read_text(encoding="utf-8"))
    assert output[0] == "colors 1.0 on the test split of paint, 6 images"
    right = metrics["right"]
    assert output[1].split()[:2] == ["accuracy", f"{100 * metrics['accuracy']:.0f}"]
    assert f"{right['count']} of 6, " in output[1]
    assert any(line.strip().startswith("calibration error") and "perfectly calibrated" in line for line in output)
    assert " ".join(metrics["verdict"]) in output
    assert metrics["verdict"][0].startswith("Not a fair test: colors 1.0 was trained on another data set")
    assert output[-2].startswith("note: colors 1.0 was trained on another data set or split")
    assert output[-1] == "evaluations/colors-1.0-on-paint/report.html"
    assert output[-2].removeprefix("note: ") in metrics["data_warnings"]
    assert metrics["source"] == "the test split of paint"


@pytest.mark.slow
def test_default_data_is_the_data_of_the_recipe(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "releases" / "colors" / "1.0" / "recipe.yaml").write_text("data: paint\n")
    cli.main(["evaluate", "--model", "colors", "--split", "train", "--out", "here"])
    assert "on the train split of paint, 18 images" in capsys.readouterr().out
    assert json.loads(Path("here/metrics.json").read_text(encoding="utf-8"))["recipe"]["data"] == "paint"


def test_a_split_other_than_test_has_a_folder_of_its_own(elsewhere: Path) -> None:
    cli.main(["evaluate", "--model", "colors", "--data", "paint", "--split", "calibration"])
    assert Path("evaluations/colors-1.0-on-paint-calibration/report.html").exists()


@pytest.mark.slow
def test_a_part_of_the_classes_will_do(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted.folder(elsewhere / "two", ("blue", "green"))
    figures = evaluate.run(evaluate.find("colors"), "two")
    assert [line.images for line in figures.classes] == [0, 2, 2]


@pytest.mark.slow
def test_images_of_another_kind_are_told_apart_or_not(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted.folder(elsewhere / "other", ("a", "b"))
    cli.main(["evaluate", "--model", "colors", "--data", "paint", "--ood-data", "other", "--out", "here"])
    assert "detected of other" in capsys.readouterr().out
    assert json.loads(Path("here/metrics.json").read_text(encoding="utf-8"))["ood_detection"]["detected"]["total"] == 4


def test_the_caveat_is_gone_where_it_was_trained_on_this_data(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted.release(elsewhere / "releases", "2.0", digest=data.load("paint")[0].sha256)
    cli.main(["evaluate", "--model", "colors", "--data", "paint"])
    assert "note:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (["--model", "colors"], "does not say what it was trained on: give --data"),
        (["--model", "colors", "--version", "7.0", "--data", "paint"], "no release 7.0 of 'colors': there are 1.0"),
        (["--model", "other", "--data", "paint"], "no release of 'other'"),
        (["--model", "colors", "--data", "nowhere"], "data set 'nowhere' is neither"),
        (["--model", "colors", "--data", "digits"], "colors 1.0 does not know: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; it"),
        (["--model", "colors", "--data", "paint", "--device", "tpu"], "device 'tpu' cannot be used"),
    ],
)  # fmt: skip
def test_impossible_measurement_is_refused_in_one_sentence(elsewhere: Path, flags: list[str], output: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", *flags])
    assert str(ended.value.code).startswith("error: ")
    assert output in str(ended.value.code)
    assert not Path("evaluations").exists()


def test_without_trust_nothing_is_told_apart(elsewhere: Path) -> None:
    painted.release(elsewhere / "releases", "2.0")
    with pytest.raises(SystemExit, match=r"colors 2\.0 has no `uncertainty` in its card"):
        cli.main(["evaluate", "--model", "colors", "--data", "paint", "--ood-data", "digits"])
