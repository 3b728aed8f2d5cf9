"""What the command says, draws and writes of a result; tests/integration/test_tune.py makes one."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from models.card import Card
from models.release import Release
from scripts.tune import __main__ as command
from scripts.tune import picture, record
from serving.errors import ConfigError
from serving.tune.load import Round
from serving.tune.search import Point, Result
from serving.tune.settings import Settings

DEFAULT = Settings(1, 1, 32, 1)
CHOSEN = Settings(2, 1, 16, 1)


def point(settings: Settings, clients: int, rate: int, errors: int = 0) -> Point:
    latencies = array("f", [1000 * clients / rate] * 100)
    return Point(settings, clients, (Round(clients, 1.0, rate, latencies, Counter({"status 503": errors})),) * 2)


def result(chosen: Point, *others: Point, kept: bool = True) -> Result:
    default = point(DEFAULT, 64, 1000)
    return Result(default, chosen, chosen.rate / default.rate, 1.05, kept, [default, *others, chosen])


def test_the_table_and_the_sentence_say_what_it_brought() -> None:
    found = result(point(CHOSEN, 64, 1500))
    assert command.table(found, 50).splitlines()[0] == "goal: the most requests a second with a p99 within 50 ms"
    assert command.table(found, None).splitlines()[3].split() == "chosen 2 1 16 1 64 1500 42.7 42.7".split()
    assert command.sentence(found) == (
        "chosen: workers 2, threads 1, batchSize 16, delay 1 ms; 1.50 x the requests of the default settings, where "
        "1.05 x could be chance"
    )


def test_where_nothing_is_better_it_says_so() -> None:
    assert "the default settings stay" in command.sentence(result(point(DEFAULT, 64, 1000)))


@pytest.mark.parametrize("budget", [None, 50.0])
def test_the_picture_is_drawn_with_and_without_a_budget_and_with_errors(tmp_path: Path, budget: float | None) -> None:
    found = result(point(CHOSEN, 64, 1500), point(CHOSEN, 4, 900), point(Settings(1, 2, 8, 1), 64, 700, errors=3))
    picture.draw(tmp_path / "tuning.png", found, "pets 1.0", budget)
    with Image.open(tmp_path / "tuning.png") as drawn:
        assert drawn.size == (1200, 660)


def test_every_point_is_kept_with_its_errors_machine_and_date(tmp_path: Path, card: Card) -> None:
    found = result(point(CHOSEN, 64, 1500), point(Settings(1, 2, 8, 1), 64, 700, errors=3))
    record.write(tmp_path / "tuning.json", Release(tmp_path, card), found, p99_budget_ms=None, seconds=2.0)
    kept = json.loads((tmp_path / "tuning.json").read_text(encoding="utf-8"))
    assert (kept["model"], kept["version"], kept["seconds"]) == ("pets", "1.0", 2.0)
    assert kept["machine"]["cores"] >= 1
    assert kept["date"].startswith("20")
    assert [one["requests_per_second"] for one in kept["points"]] == [1000, 700, 1500]
    assert kept["points"][1]["errors"] == {"status 503": 6}
    assert kept["chosen"]["batch_size"] == 16
    assert kept["gain"] == 1.5


@pytest.mark.parametrize("words", [["--p99-ms", "0"], ["--seconds", "-1"], ["--minutes", "nan"]])
def test_a_figure_that_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert "is not a number above 0" in capsys.readouterr().err


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m scripts.tune")
    assert all(flag in said for flag in ("--model", "--version", "--p99-ms", "--config", "--images", "--seconds"))


def test_a_model_that_was_never_trained_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: no release of 'pets'"):
        command.main(["--model", "pets"])


def test_folder_without_images_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    with pytest.raises(ConfigError, match=r": has no \.jpg, .* files; give a folder of images$"):
        command._images(tmp_path)
