from __future__ import annotations

import dataclasses

import pytest
import torch

from handlers.classifier import Classifier
from handlers.errors import DamagedImage
from training.data import Dataset
from training.data.dataset import Split
from training.evaluate import CHUNK, evaluate


def test_figures_agree_with_each_other_and_with_the_card(classifier: Classifier, digits: Dataset) -> None:
    found = evaluate(classifier, digits, digits.test)
    assert found.confusion.shape == (10, 10)
    assert found.confusion.sum() == len(digits.test)
    assert found.confusion.sum(dim=1).tolist() == torch.bincount(torch.tensor(digits.test.labels)).tolist()
    assert found.accuracy == pytest.approx(int(found.confusion.trace()) / 360)
    assert round(found.accuracy, 6) == classifier.card.metrics.accuracy
    assert found.loss == pytest.approx(classifier.card.metrics.loss, abs=1e-4)


def test_a_mistake_stands_in_the_row_of_its_label(classifier: Classifier, digits: Dataset) -> None:
    answered = int(classifier.logits([digits.test.images[0]]).argmax())
    wrong = (answered + 1) % 10
    found = evaluate(classifier, digits, Split(digits.test.images[:1], [wrong]))
    assert found.accuracy == 0
    assert found.confusion[wrong, answered] == 1
    assert found.confusion.sum() == 1
    assert found.loss > 0.69


def test_more_images_than_one_chunk_are_all_counted(classifier: Classifier, digits: Dataset) -> None:
    content, label = digits.test.images[0], digits.test.labels[0]
    found = evaluate(classifier, digits, Split([content] * (CHUNK + 1), [label] * (CHUNK + 1)))
    assert found.confusion.sum() == 257


def test_an_image_that_cannot_be_served_cannot_be_measured(classifier: Classifier, digits: Dataset) -> None:
    broken = dataclasses.replace(digits, test=Split([digits.test.images[0][:60]], [0]))
    with pytest.raises(DamagedImage):
        evaluate(classifier, broken, broken.test)
