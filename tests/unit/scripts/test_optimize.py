"""Output of the command; tests/unit/training/compile tests the compilation itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.card import Card, Compiled, EngineQuality
from models.release import Release
from scripts import cli
from tests.unit.scripts import painted
from training import compile as compilation
from training.compile import Candidates, OnTest, Optimized
from training.data import Dataset

KEPT = EngineQuality(
    images=1000,
    accuracy=0.897,
    accuracy_float32=0.9,
    agreement=0.991,
    calibration_error=0.021,
    calibration_error_float32=0.02,
    milliseconds=1.0,
    milliseconds_float32=2.5,
)
INT8 = Compiled(name="cpu-int8", torch="2.13.0", requires=("avx2",), compiled_on="a processor", quality=KEPT)
FP32 = INT8.model_copy(update={"name": "cpu-fp32", "rejection": "it is no faster"})
TESTED = OnTest(accuracy=0.88, agreement=0.993, calibration_error=0.03, coverage=None, false_positive_rate=None)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    painted.release(tmp_path / "releases", "1.0")
    painted.folder(tmp_path / "paint")
    return tmp_path


def test_optimize_prints_each_engines_quality_and_the_next_step(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compile_release(
        release: Release, dataset: Dataset, candidates: Candidates, say: Callable[[str], None], march: str | None
    ) -> Optimized:
        assert candidates.names == ("cpu-int8", "cpu-fp32")
        assert march is None
        card = release.card.model_copy(update={"engines": (INT8, FP32)})
        return Optimized(card, dataset.name, {"eager": TESTED, "cpu-int8": TESTED}, {"cpu-bf16": "it is emulated here"})

    monkeypatch.setattr(compilation, "optimize", compile_release)
    cli.main(["optimize", "--model", "colors", "--data", "paint", "--engines", "int8,fp32"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "colors 1.0 on paint, by one thread of a processor",
        "  engine      ms  faster   right  agrees     ECE  sets hold  test: right  agrees",
        "  cpu-int8     1  2.50 x  89.70%  99.10%  0.0210          -       88.00%  99.30%",
        "  cpu-fp32     1  2.50 x  89.70%  99.10%  0.0210          -",
        "  cpu eager  2.5          90.00%          0.0200          -       88.00%  99.30%",
        "- cpu-fp32 is rejected: it is no faster",
        "- cpu-bf16 was not tried: it is emulated here",
        "releases/colors/1.0/report/engines.html",
        "next: torchlight archive --model colors --version 1.0",
    ]


def test_optimize_names_the_layers_that_stayed_in_float32(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spared = INT8.model_copy(update={"float32_layers": ("features.0",)})
    for refused, line in (
        (None, "- cpu-int8 computes features.0 in float32"),
        ("it is no faster", "- cpu-int8 is rejected, even with features.0 in float32: it is no faster"),
    ):
        entry = spared.model_copy(update={"rejection": refused})
        optimized = Optimized(
            Card.load(Path("releases/colors/1.0")).model_copy(update={"engines": (entry,)}), "paint", {}, {}
        )
        monkeypatch.setattr(compilation, "optimize", lambda *arguments, optimized=optimized: optimized)
        cli.main(["optimize", "--model", "colors", "--data", "paint", "--engines", "int8"])
        assert line in capsys.readouterr().out.splitlines()


def test_remove_flag_deletes_compiled_programs(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = elsewhere / "releases/colors/1.0"
    card = Card.load(folder)
    card.model_copy(update={"engines": (INT8,)}).save(folder)
    cli.main(["optimize", "--model", "colors", "--remove"])
    assert Card.load(folder) == card
    assert capsys.readouterr().out == "colors 1.0 has no compiled programs now\n"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--model", "other"], "no release of 'other'"),
        (["--model", "colors"], "does not say what it was trained on: give --data"),
        (["--model", "colors", "--data", "paint", "--engines", "int4"], "no number format int4"),
        (["--model", "colors", "--data", "paint"], r"was not trained on paint as it is now"),
    ],
)
def test_impossible_compilation_is_refused_in_one_sentence(elsewhere: Path, flags: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["optimize", *flags])
    assert sentence in str(ended.value.code)
