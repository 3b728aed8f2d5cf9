"""The commands that need no server, run for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.release import Release
from scripts import cli
from serving.artifacts.model_config import of_archive

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: no releases, no store, no server."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_samples_are_the_ones_that_the_command_writes(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["maintenance", "samples", "--out", "written"])
    names = sorted(path.name for path in (elsewhere / "written").iterdir())
    assert names == [f"{digit}.png" for digit in range(10)]
    for name in names:
        written, committed = (
            np.asarray(Image.open(folder / name)) for folder in (elsewhere / "written", ROOT / "samples")
        )
        assert written.shape == (96, 96)
        assert np.array_equal(written, committed)
    assert capsys.readouterr().out == "written/: 10 images of 96 x 96 pixels\n"


def test_stopping_where_nothing_runs_is_no_error(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["stop", "--port", "9123"])
    assert capsys.readouterr().out == "no server runs on port 9123\n"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_asking_about_a_missing_image_is_one_sentence(elsewhere: Path, command: str) -> None:
    with pytest.raises(SystemExit, match=r"^error: the image no\.png: No such file or directory"):
        cli.main([command, "no.png"])


def test_a_port_that_does_not_exist_is_one_sentence(elsewhere: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: port 0 does not exist"):
        cli.main(["stop", "--port", "0"])


def test_archiving_a_model_that_was_never_trained_says_how_to_train_it(elsewhere: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: no release of 'pets' .*torchlight train --model pets"):
        cli.main(["archive", "--model", "pets"])


def test_archiving_with_a_misspelt_setting_is_refused_before_anything_is_done(elsewhere: Path) -> None:
    (elsewhere / "mine.yaml").write_text("batchsize: 8\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^error: mine\.yaml: unknown key 'batchsize': did you mean batchSize"):
        cli.main(["archive", "--config", "mine.yaml"])
    assert [path.name for path in elsewhere.iterdir()] == ["mine.yaml"]


@pytest.mark.slow
def test_archiving_takes_the_settings_of_the_release_unless_others_are_given(
    own_release: Release, elsewhere: Path
) -> None:
    (own_release.folder / "model-config.yaml").write_text("batchSize: 8\n")
    (elsewhere / "other.yaml").write_text("batchSize: 4\n")
    cli.main(["archive"])
    assert of_archive(elsewhere / "model_store" / "digits-1.0.mar").batchSize == 8
    cli.main(["archive", "--config", "other.yaml"])
    assert of_archive(elsewhere / "model_store" / "digits-1.0.mar").batchSize == 4
