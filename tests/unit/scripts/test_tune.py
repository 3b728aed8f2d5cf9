"""Output, plot and record of the command for a given result; tests/integration/training/test_tune.py measures one."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from models.card import Card
from models.release import Release
from scripts import cli
from scripts.tune import __main__ as command
from scripts.tune import plot, record
from serving.errors import ConfigError
from serving.tune.load import Round
from serving.tune.search import Point, Result
from serving.tune.settings import WorkerSettings

DEFAULT = WorkerSettings(1, 1, 32, 1)
CHOSEN = WorkerSettings(2, 1, 16, 1)


def point(settings: WorkerSettings, clients: int, rate: int, errors: int = 0) -> Point:
    latencies = array("f", [1000 * clients / rate] * 100)
    return Point(settings, clients, (Round(clients, 1.0, rate, latencies, Counter({"status 503": errors})),) * 2)


def result_of(chosen: Point, *other_points: Point, within_budget: bool = True) -> Result:
    default = point(DEFAULT, 64, 1000)
    return Result(default, chosen, chosen.rate / default.rate, 1.05, within_budget, [default, *other_points, chosen])


def test_the_table_and_the_sentence_say_what_it_brought() -> None:
    result = result_of(point(CHOSEN, 64, 1500))
    assert command.table(result, 50).splitlines()[0] == "goal: most requests per second with a p99 within 50 ms"
    assert command.table(result, None).splitlines()[3].split() == "chosen 2 1 16 1 64 1500 42.7 42.7".split()
    assert command.sentence(result) == (
        "chosen: workers 2, threads 1, batchSize 16, delay 1 ms; 1.50 x the requests of the default settings "
        "(up to 1.05 x may be chance)"
    )


def test_tune_says_when_the_defaults_are_best() -> None:
    assert "the default settings stay" in command.sentence(result_of(point(DEFAULT, 64, 1000)))


@pytest.mark.parametrize("budget", [None, 50.0])
def test_the_plot_is_drawn_with_and_without_a_budget_and_with_errors(tmp_path: Path, budget: float | None) -> None:
    result = result_of(
        point(CHOSEN, 64, 1500), point(CHOSEN, 4, 900), point(WorkerSettings(1, 2, 8, 1), 64, 700, errors=3)
    )
    plot.draw(tmp_path / "tuning.png", result, "pets 1.0", budget)
    with Image.open(tmp_path / "tuning.png") as drawn:
        assert drawn.size == (1200, 660)


def test_every_point_is_kept_with_its_errors_machine_and_date(tmp_path: Path, card: Card) -> None:
    result = result_of(point(CHOSEN, 64, 1500), point(WorkerSettings(1, 2, 8, 1), 64, 700, errors=3))
    record.write(tmp_path / "tuning.json", Release(tmp_path, card), result, p99_budget_ms=None, seconds=2.0)
    document = json.loads((tmp_path / "tuning.json").read_text(encoding="utf-8"))
    assert (document["model"], document["version"], document["seconds"]) == ("pets", "1.0", 2.0)
    assert document["machine"]["cores"] >= 1
    assert document["date"].startswith("20")
    assert [measured["requests_per_second"] for measured in document["points"]] == [1000, 700, 1500]
    assert document["points"][1]["errors"] == {"status 503": 6}
    assert document["chosen"]["batch_size"] == 16
    assert document["gain"] == 1.5


@pytest.mark.parametrize("words", [["--p99-ms", "0"], ["--seconds", "-1"], ["--minutes", "nan"]])
def test_a_figure_that_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["tune", *words])
    assert ended.value.code == 2
    assert "Give a number above 0." in capsys.readouterr().err


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["tune", "--help"])
    output = capsys.readouterr().out
    assert output.startswith("Usage: torchlight tune")
    assert all(flag in output for flag in ("--model", "--version", "--p99-ms", "--config", "--images", "--seconds"))


def test_a_model_that_was_never_trained_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: no release of 'pets'"):
        cli.main(["tune", "--model", "pets"])


def test_folder_without_images_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    with pytest.raises(ConfigError, match=r": has no \.jpg, .* files; give a folder of images$"):
        command._images(tmp_path)
