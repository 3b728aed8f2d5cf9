from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.card import Card
from tests.unit.training.colors import NAMES, UNCERTAINTY, card, classifier, plain, split
from training.data.dataset import DataError, Dataset, Split
from training.evaluate import CHUNK, caveat, evaluate, matched, ood_scores, outputs

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_a_mistake_stands_in_the_row_of_its_label() -> None:
    found = evaluate(classifier(), split((RED, 0), (GREEN, 1), (GREEN, 1), (BLUE, 0)))
    assert found.confusion.tolist() == [[1, 0, 1], [0, 2, 0], [0, 0, 0]]
    assert found.accuracy == 0.75
    assert found.right.tolist() == [True, True, True, False]


def test_the_loss_is_that_of_the_probability_served() -> None:
    pictures = split((RED, 0), (RED, 1))
    raw = [-math.log(math.exp(10) / (math.exp(10) + 2)), -math.log(1 / (math.exp(10) + 2))]
    assert evaluate(classifier(), pictures).losses.tolist() == pytest.approx(raw)
    cooled = [-math.log(math.exp(5) / (math.exp(5) + 2)), -math.log(1 / (math.exp(5) + 2))]
    assert evaluate(classifier(UNCERTAINTY), pictures).losses.tolist() == pytest.approx(cooled)
    assert evaluate(classifier(UNCERTAINTY), pictures).loss == pytest.approx(sum(cooled) / 2)


def test_measured_network_is_the_served_one() -> None:
    served = classifier(UNCERTAINTY)
    pictures = split((RED, 0), ((200, 180, 10), 1), ((3, 2, 1), 2))
    found = evaluate(served, pictures)
    assert torch.equal(found.logits, served.logits(pictures.images))
    assert torch.equal(found.probabilities, served.probabilities(pictures.images))
    assert found.uncertainties is not None
    assert [one.reason for one in found.uncertainties] == [None, "ambiguous", "out_of_distribution"]
    assert [one.set for one in found.uncertainties][:2] == [["red"], ["red", "green"]]


def test_without_trust_nothing_is_judged() -> None:
    found = evaluate(classifier(), split((RED, 0)))
    assert (found.uncertainties, found.scores, found.temperature) == (None, None, 1.0)
    assert ood_scores(classifier(), split((RED, 0))) is None


def test_strange_images_have_higher_scores() -> None:
    scores = ood_scores(classifier(UNCERTAINTY), Split([plain(*RED), plain(0, 0, 0)], []))
    assert scores is not None
    assert scores.tolist() == pytest.approx([-10.0, -math.log(3)], abs=1e-3)


def test_more_images_than_one_chunk_are_all_answered_in_order() -> None:
    colors = [(RED, GREEN, BLUE)[place % 3] for place in range(CHUNK + 5)]
    found = evaluate(classifier(), Split([plain(*color) for color in colors], [0] * len(colors)))
    assert found.answered.tolist() == [place % 3 for place in range(261)]


def test_images_may_be_read_when_they_are_asked_for() -> None:
    class Lazily(list[np.ndarray]):
        def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
            assert isinstance(index, int), "an index at a time: what reads files need not know slices"
            return super().__getitem__(index)

    assert len(outputs(classifier().engine, card().input, Split(Lazily([plain(*RED)] * 3), [0] * 3)).logits) == 3


def test_an_image_that_cannot_be_served_is_named() -> None:
    broken = Split([plain(*RED), b"\x89PNG\r\n\x1a\n cut"], [0, 0], ["a.png", "folder/b.png"])
    with pytest.raises(DataError, match=r"folder/b\.png: the image is cut short"):
        evaluate(classifier(), broken)


def test_no_image_is_an_error() -> None:
    with pytest.raises(DataError, match="the split is empty: it has 0 images"):
        evaluate(classifier(), Split([], []))


def test_classes_are_matched_by_name() -> None:
    pictures = matched(split((BLUE, 0), (RED, 1)), ("blue", "red"), card())
    assert pictures.labels == [2, 0]
    assert evaluate(classifier(), pictures).accuracy == 1


def test_classes_that_the_model_does_not_know_are_listed_with_those_it_knows() -> None:
    with pytest.raises(DataError, match=r"colors 1\.0 does not know: mauve, teal; it knows red, green, blue$"):
        matched(split((BLUE, 0)), ("blue", "mauve", "teal"), card())


def test_a_thousand_classes_do_not_fill_the_screen() -> None:
    with pytest.raises(DataError) as raised:
        matched(split(), tuple(f"c{n}" for n in range(1000)), card())
    assert "c19 and 980 more;" in str(raised.value)


@pytest.mark.parametrize(
    ("digest", "part", "said"),
    [
        ("0" * 64, "test", None),
        ("0" * 64, "train", "colors 1.0 was fitted on the train split of this data set"),
        ("0" * 64, "calibration", "was fitted on the calibration split"),
        ("1" * 64, "test", "trained on another data set or split; its training images may be among these"),
    ],
)
def test_figures_that_may_flatter_come_with_a_caveat(digest: str, part: str, said: str | None) -> None:
    nothing = Split([], [])
    data = Dataset("colors", "", "", NAMES, nothing, nothing, nothing, digest)
    about: Card = card()
    found = caveat(about, data, part)
    assert found is None if said is None else said in str(found)
