"""Optimization of a release: its compiled engines give the same predictions."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from handlers import golden_answers
from handlers.classifier import Classifier
from models.card import Card, Compiled
from models.release import Release, verify_digests
from training import compile as compilation
from training.compile import CompileError, Optimized, compile_ungated, optimizing, timing, ungated
from training.compile.programs import aoti
from training.compile.programs.build import build
from training.data import Dataset

pytestmark = pytest.mark.slow

WANTED = compilation.find(["int8", "fp32"])


def test_the_card_lists_the_fastest_first_with_what_it_keeps(compiled: Release, outcome: Optimized) -> None:
    card = compiled.card
    assert [(entry.name, entry.rejection) for entry in card.engines] == [("cpu-int8", None), ("cpu-fp32", None)]
    assert card.engines == outcome.card.engines == outcome.admitted
    verify_digests(compiled.folder, card)
    assert set(card.digests) >= {"engines/cpu-int8.pt2", "engines/cpu-fp32.pt2"}
    for entry in card.engines:
        assert entry.torch == torch.__version__
        assert {"x86_64", "avx2", "fma"} <= set(entry.requires)
        assert entry.quality is not None
        assert entry.quality.images == card.data.calibration
        assert entry.quality.agreement >= 0.99
    assert card.engines[1].quality is not None
    assert card.engines[1].quality.agreement == 1.0


def test_each_program_gives_the_golden_answers_that_were_written_for_it(compiled: Release) -> None:
    for name in ("cpu-int8", "cpu-fp32", "eager"):
        assert golden_answers.check(compiled.folder, Classifier.load(compiled.folder, engine=name)) == 10


def test_the_compiler_was_told_a_level_and_not_this_machine(compiled: Release) -> None:
    """Check the compiler flags that gcc notes in its output (DW_AT_producer of DWARF)."""
    for entry in compiled.card.engines:
        with zipfile.ZipFile(compiled.folder / entry.path) as package:
            (library,) = (name for name in package.namelist() if name.endswith(".so"))
            made = package.read(library)
        assert b"-march=x86-64-v3" in made
        assert b"march=native" not in made


def test_the_test_split_is_measured_for_the_report(outcome: Optimized, digits: Dataset) -> None:
    assert set(outcome.tested) == {"eager", "cpu-int8", "cpu-fp32"}
    eager, int8 = outcome.tested["eager"], outcome.tested["cpu-int8"]
    assert eager.agreement == 1.0
    assert abs(int8.accuracy - eager.accuracy) < 0.02
    assert int8.false_positive_rate == pytest.approx(eager.false_positive_rate, abs=0.03)


def test_the_report_says_all_of_it(compiled: Release, outcome: Optimized) -> None:
    text = (compiled.folder / "report" / "engines.html").read_text(encoding="utf-8")
    assert "<b>cpu-int8</b>, then <b>cpu-fp32</b> may serve" in text
    assert (compiled.folder / "report" / "engines.json").exists()
    assert (compiled.folder / "report" / "engines.png").exists()


def test_other_data_than_its_own_cannot_vouch_for_it(release: Release, digits: Dataset) -> None:
    with pytest.raises(CompileError, match=r"digits 1\.0 was not trained on digits as it is now"):
        compilation.optimize(release, replace(digits, sha256="0" * 64), WANTED, lambda words: None)


def test_without_a_compiler_it_says_what_to_install(
    release: Release, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CompileError, match=r"there is no no-such-compiler: install one, .* `apt-get install g\+\+`"):
        compilation.optimize(release, digits, WANTED, lambda words: None)


def test_failed_compilation_is_named_and_leaves_the_release_intact(
    own_release: Release, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **more: object) -> None:
        raise CompileError("cpu-int8.pt2 cannot be compiled: RuntimeError: no such operator")

    monkeypatch.setattr(optimizing, "build", fails)
    found = compilation.optimize(own_release, digits, compilation.find(["int8"]), lambda words: None)
    assert found.skipped == {"cpu-int8": "cpu-int8.pt2 cannot be compiled: RuntimeError: no such operator"}
    assert found.admitted == ()
    assert Card.load(own_release.folder) == own_release.card
    assert "No compiled program passed" in (own_release.folder / "report" / "engines.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("bad", [{False}, {False, True}])
def test_int8_that_loses_too_much_is_made_once_more_with_its_first_convolution_in_float32(
    own_release: Release, digits: Dataset, monkeypatch: pytest.MonkeyPatch, bad: set[bool]
) -> None:
    """Ranges that are taken from black images fit no other."""

    def ill_ranged(
        folder: Path, card: Card, name: str, pixels: torch.Tensor, into: Path, march: str | None, *, spare_first: bool
    ) -> Compiled:
        pixels = torch.zeros_like(pixels) if spare_first in bad else pixels
        return build(folder, card, name, pixels, into, march, spare_first=spare_first)

    monkeypatch.setattr(optimizing, "build", ill_ranged)
    monkeypatch.setattr(timing, "milliseconds", lambda engines, size: {"cpu-int8": 1.0, "eager": 2.0})
    said: list[str] = []
    found = compilation.optimize(own_release, digits, compilation.find(["int8"]), said.append, "x86-64-v3")
    (entry,) = found.card.engines
    assert entry.float32_layers == ("features.0",)
    assert any(
        "points below float32's" in line and "compiling again, with the first convolution" in line for line in said
    )
    text = (own_release.folder / "report" / "engines.html").read_text(encoding="utf-8")
    if True in bad:
        assert "points below float32's" in str(entry.rejection)
        assert not (own_release.folder / entry.path).exists()
        assert "No compiled program passed" in text
        assert "<b>cpu-int8</b>, even with features.0 in float32: " in text
    else:
        assert entry.rejection is None
        assert "It computes features.0 in float32" in text
        assert golden_answers.check(own_release.folder, Classifier.load(own_release.folder, engine="cpu-int8")) == 10


def test_a_second_try_that_does_not_compile_leaves_the_first_verdict(
    own_release: Release, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(
        folder: Path, card: Card, name: str, pixels: torch.Tensor, into: Path, march: str | None, *, spare_first: bool
    ) -> Compiled:
        if spare_first:
            raise CompileError("digits has no convolution that could stay in float32")
        return build(folder, card, name, torch.zeros_like(pixels), into, march)

    monkeypatch.setattr(optimizing, "build", once)
    monkeypatch.setattr(timing, "milliseconds", lambda engines, size: {"cpu-int8": 1.0, "eager": 2.0})
    said: list[str] = []
    found = compilation.optimize(own_release, digits, compilation.find(["int8"]), said.append, "x86-64-v3")
    (entry,) = found.rejected
    assert entry.float32_layers == ()
    assert said[-1] == "cpu-int8: digits has no convolution that could stay in float32"


def test_an_error_of_the_compiler_is_one_sentence(release: Release, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def fails(*arguments: object, **more: object) -> None:
        raise RuntimeError("g++: fatal error:\n  no input files")

    monkeypatch.setattr(aoti, "aoti_compile_and_package", fails)
    with pytest.raises(CompileError, match=r"cpu-fp32\.pt2 cannot be compiled: RuntimeError: g\+\+: fatal error: no"):
        build(release.folder, release.card, "cpu-fp32", torch.zeros(1, 3, 24, 24, dtype=torch.uint8), tmp_path)


def test_a_program_on_which_nobody_judged_says_so(
    own_release: Release, compiled: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranged = []

    def compiled_before(folder: Path, card: Card, name: str, pixels: torch.Tensor, into: Path) -> Compiled:
        ranged.append(pixels.shape)
        entry = next(entry for entry in compiled.card.engines if entry.name == name)
        (into / entry.path).parent.mkdir(exist_ok=True)
        shutil.copy(compiled.folder / entry.path, into / entry.path)
        return entry.model_copy(update={"quality": None})

    monkeypatch.setattr(ungated, "build", compiled_before)
    pictures = [path.read_bytes() for path in sorted((own_release.folder / "golden").glob("*.png"))]
    card = compile_ungated(own_release.folder, pictures, ["cpu-fp32"])
    assert ranged == [(10, 3, 24, 24)]
    assert [(entry.name, entry.quality, entry.rejection) for entry in card.engines] == [("cpu-fp32", None, None)]
    assert golden_answers.check(own_release.folder, Classifier.load(own_release.folder, engine="cpu-fp32")) == 10
