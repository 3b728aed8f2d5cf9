"""The fastest engine that is right on this machine answers; the others are passed over, and it is said why."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import pytest
import torch

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines import EngineError, selection
from handlers.engines.selection import AUTO, LoadedModel
from models.card import Card
from models.golden import GoldenError, tolerance_of
from models.release import Release
from tests.unit.training.compile.conftest import compiled, own_compiled

__all__ = ["compiled", "own_compiled"]

CPU = torch.device("cpu")


def load(folder: Path, engine: str = AUTO) -> LoadedModel[Classifier]:
    """Load a release as a worker does."""
    return selection.load(Card.load(folder), CPU, partial(golden_answers.load_checked, folder, CPU), engine)


def change(folder: Path, name: str, **changed: object) -> None:
    """Change an engine's entry in the card."""
    card = Card.load(folder)
    engines = tuple(entry.model_copy(update=changed) if entry.name == name else entry for entry in card.engines)
    card.model_copy(update={"engines": engines}).save(folder)


def spoil(folder: Path, name: str) -> None:
    """Make an engine's golden answers those of another network."""
    path = folder / "golden" / f"{name}.json"
    document = json.loads(path.read_text())
    document["probabilities"]["03.png"].reverse()
    path.write_text(json.dumps(document))


def is_right(chosen: LoadedModel[Classifier], folder: Path) -> bool:
    """Return whether it answers the golden images like the eager network, within its engine's tolerance.

    Which class is first decides nothing: on some processors a network comes out that is undecided about one of them.
    """
    images = [path.read_bytes() for path in sorted((folder / "golden").glob("*.png"))]
    wanted = Classifier.load(folder).probabilities(images)
    tolerance = tolerance_of(chosen.model.engine.name)
    return torch.allclose(chosen.model.probabilities(images), wanted, rtol=0, atol=tolerance)


def test_the_first_of_the_card_answers(compiled: Release) -> None:
    chosen = load(compiled.folder)
    assert chosen.model.engine.name == "cpu-int8"
    assert chosen.passed_over == {}
    assert is_right(chosen, compiled.folder)


OBSTACLES = {
    "another processor": lambda folder: change(folder, "cpu-int8", requires=("avx2", "avx999")),
    "another torch": lambda folder: change(folder, "cpu-int8", torch="1.0.0"),
    "wrong golden answers": lambda folder: spoil(folder, "cpu-int8"),
    "no golden answers": lambda folder: (folder / "golden/cpu-int8.json").unlink(),
    "cut short": lambda folder: (folder / "engines/cpu-int8.pt2").write_bytes(b"PK"),
    "no file": lambda folder: (folder / "engines/cpu-int8.pt2").unlink(),
}
REASONS = {
    "another processor": "needs avx999, which the processor here does not have",
    "another torch": "was compiled with torch 1.0.0",
    "wrong golden answers": "golden image 03.png: ",
    "no golden answers": "cpu-int8.json: No such file",
    "cut short": "does not load",
    "no file": "no such file, though the card lists it",
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_engine_with_wrong_answers_is_skipped_for_the_next(
    own_compiled: Release, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    OBSTACLES[obstacle](own_compiled.folder)
    with caplog.at_level(logging.INFO, "handlers"):
        chosen = load(own_compiled.folder)
    assert chosen.model.engine.name == "cpu-fp32"
    assert list(chosen.passed_over) == ["cpu-int8"]
    assert REASONS[obstacle] in chosen.passed_over["cpu-int8"]
    assert REASONS[obstacle] in caplog.text
    assert "engine cpu-fp32 answers, on cpu" in caplog.text
    assert is_right(chosen, own_compiled.folder)


def test_eager_network_answers_when_every_engine_is_wrong(own_compiled: Release) -> None:
    spoil(own_compiled.folder, "cpu-int8")
    change(own_compiled.folder, "cpu-fp32", requires=("avx999",))
    chosen = load(own_compiled.folder)
    assert chosen.model.engine.name == "eager"
    assert list(chosen.passed_over) == ["cpu-int8", "cpu-fp32"]
    assert is_right(chosen, own_compiled.folder)


def test_engine_rejected_by_the_gate_is_not_tried(own_compiled: Release) -> None:
    change(own_compiled.folder, "cpu-int8", rejection="it is no faster")
    chosen = load(own_compiled.folder)
    assert chosen.model.engine.name == "cpu-fp32"
    assert chosen.passed_over == {}


@pytest.mark.parametrize("wanted", ["eager", "cpu-fp32"])
def test_an_engine_can_be_asked_for(compiled: Release, wanted: str) -> None:
    assert load(compiled.folder, wanted).model.engine.name == wanted


def test_the_one_that_is_asked_for_has_no_stand_in(own_compiled: Release) -> None:
    spoil(own_compiled.folder, "cpu-int8")
    with pytest.raises(GoldenError, match=r"golden image 03\.png"):
        load(own_compiled.folder, "cpu-int8")
    with pytest.raises(EngineError, match="there is no engine 'cpu-bf16'"):
        load(own_compiled.folder, "cpu-bf16")


def test_a_network_that_is_not_right_does_not_answer_either(own_compiled: Release) -> None:
    for name in ("cpu-int8", "cpu-fp32", "answers"):
        spoil(own_compiled.folder, name)
    with pytest.raises(GoldenError):
        load(own_compiled.folder)


def test_the_network_is_loaded_for_explanations_only(compiled: Release) -> None:
    classifier = load(compiled.folder).model
    assert "eager_network" not in vars(classifier)
    assert classifier.eager_network.name == "eager"
    assert classifier.engine.name == "cpu-int8"
