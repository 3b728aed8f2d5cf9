"""`explain_report` from end to end, on small releases and images of a color."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from models.card import Card
from scripts import cli
from tests.unit.scripts import painted


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    painted.release(tmp_path / "releases", "1.0")
    painted.folder(tmp_path / "paint")
    return tmp_path


@pytest.mark.slow
def test_a_release_is_measured_and_gets_its_default(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["explain-report", "--model", "colors", "--data", "paint", "--images", "4"])
    output = capsys.readouterr().out
    folder = Path("releases/colors/1.0")
    written = json.loads((folder / "report/explanations.json").read_text(encoding="utf-8"))
    about = Card.load(folder).explanations
    assert output.startswith("colors 1.0: methods on 4 images of the test split of paint\n")
    assert f"the default is {about.method}: " in output
    assert about.method == written["default"]
    assert list(about.faithfulness) == [figures["name"] for figures in written["methods"]]
    assert {"ig", "gradcam", "occlusion"} <= set(about.faithfulness)
    assert (folder / "report/explanations.html").exists()


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (["--model", "other"], "no release of 'other'"),
        (["--model", "colors"], "does not say what it was trained on: give --data"),
        (["--model", "colors", "--data", "digits"], "colors 1.0 does not know: 0, 1"),
    ],
)
def test_impossible_measurement_is_refused_in_one_sentence(elsewhere: Path, flags: list[str], output: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain-report", *flags])
    assert output in str(ended.value.code)


@pytest.mark.parametrize("command", ["explain-report", "shortcut-demo"])
@pytest.mark.parametrize("images", ["1", "-4", "all"])
def test_a_number_of_images_is_one_that_has_a_mean(
    command: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--images", images])
    assert ended.value.code == 2
    assert re.search("--images. (Give a number from 2|unable to convert)", capsys.readouterr().err)
