"""Prediction sets are those of MAPIE and crepes, image by image, on the logits of a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest
import torch
from crepes import ConformalClassifier
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from handlers.uncertainty import DIGITS
from handlers.uncertainty.prediction_sets import membership, set_scores
from models.card import Conformal
from training.uncertainty.conformal import SetRule, fit_sets

COVERAGES = (0.8, 0.9, 0.95)
METHODS = ("lac", "aps", "raps")


@lru_cache
def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return probabilities (N, 10) and labels (N,) of calibration images, then of 500 other images.

    The model is a linear one that saw 60 noisy digits, so it is wrong on a third of the others.
    """
    images, labels = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    order = draw.permutation(len(images))
    images, labels = images[order] + draw.normal(0, 4, images.shape), labels[order]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=50).fit(images[:60], labels[:60])
    probabilities = torch.tensor(model.predict_proba(images)).round(decimals=DIGITS)
    truth = torch.tensor(labels)
    return probabilities[60:1297], truth[60:1297], probabilities[1297:], truth[1297:]


def our_sets(conformal: Conformal, probabilities: torch.Tensor) -> np.ndarray:
    """Return which classes are in each set, bool (N, C), by index of the class."""
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    members = torch.zeros_like(order, dtype=torch.bool)
    return members.scatter(1, order, membership(ranked, order, conformal)).numpy()


def scores_by_class(conformal: Conformal, probabilities: torch.Tensor) -> np.ndarray:
    """Return the score of each class, (N, C), by index of the class."""
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    return torch.zeros_like(ranked).scatter(1, order, set_scores(ranked, conformal)).numpy()


def fitted(method: str, coverage: float, *, class_conditional: bool = False) -> Conformal:
    probabilities, labels, _, _ = digits()
    rule = SetRule(
        method=method,  # type: ignore[arg-type]
        coverage=coverage,
        class_conditional=class_conditional,
        penalty=0.05 if method == "raps" else 0.0,
        free=1 if method == "raps" else 0,
    )
    conformal = fit_sets(probabilities, labels, rule).conformal
    assert conformal is not None
    return conformal


def crepes_sets(conformal: Conformal, *, class_conditional: bool) -> np.ndarray:
    """Return the sets of crepes for the same scores."""
    probabilities, labels, others, _ = digits()
    calibration = scores_by_class(conformal, probabilities)[np.arange(len(labels)), labels.numpy()]
    # crepes includes a class whose p-value equals 1 - confidence. The usual definition excludes it, and so do we.
    options: dict[str, object] = {"confidence": conformal.coverage - 1e-9, "smoothing": False}
    scores = scores_by_class(conformal, others)
    if not class_conditional:
        return ConformalClassifier().fit(calibration).predict_set(scores, **options) == 1
    # One classifier for each class is what "Mondrian" means: the image's class is the category of its score.
    columns = []
    for label in range(scores.shape[1]):
        classifier = ConformalClassifier().fit(calibration[labels.numpy() == label])
        columns.append(classifier.predict_set(scores[:, label : label + 1], **options)[:, 0] == 1)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("class_conditional", [False, True], ids=["one threshold", "class-conditional"])
@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("method", METHODS)
def test_sets_are_those_of_crepes(method: str, coverage: float, class_conditional: bool) -> None:
    conformal = fitted(method, coverage, class_conditional=class_conditional)
    ours = our_sets(conformal, digits()[2])
    assert 1 < ours.sum(axis=1).mean() < 10
    np.testing.assert_array_equal(ours, crepes_sets(conformal, class_conditional=class_conditional))


def test_mondrian_sets_of_crepes_have_the_same_p_values() -> None:
    """The categories of crepes itself, instead of one classifier for each class."""
    probabilities, labels, others, truth = digits()
    conformal = fitted("lac", 0.9, class_conditional=True)
    calibration = scores_by_class(conformal, probabilities)[np.arange(len(labels)), labels.numpy()]
    classifier = ConformalClassifier().fit(calibration, bins=labels.numpy())
    own = scores_by_class(conformal, others)[np.arange(len(truth)), truth.numpy()]
    p_values = classifier.predict_p(own[:, None], bins=truth.numpy(), all_classes=True, smoothing=False)[:, 0]
    contains = our_sets(conformal, others)[np.arange(len(truth)), truth.numpy()]
    np.testing.assert_array_equal(contains, p_values > 1 - conformal.coverage)


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose input is its output, for MAPIE."""

    def __init__(self, classes: Sequence[int] = tuple(range(10))) -> None:
        self.classes = classes
        self.classes_ = np.array(classes)
        self.n_features_in_ = len(classes)

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> Given:
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return inputs.argmax(axis=1)

    def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
        return inputs / inputs.sum(axis=1, keepdims=True)

    def __sklearn_is_fitted__(self) -> bool:
        return True


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("method", METHODS)
def test_sets_are_those_of_mapie(method: str, coverage: float) -> None:
    """MAPIE's LAC score is 1 - probability, so probabilities (1 - score / 10) / 10 make it the score of our method.

    They need not sum to 1, so an eleventh class, which no image shows, has the rest.
    """
    probabilities, labels, others, _ = digits()
    conformal = fitted(method, coverage)

    def disguised(rows: torch.Tensor) -> np.ndarray:
        shares = (1 - scores_by_class(conformal, rows) / 10) / 10
        return np.column_stack([shares, 1 - shares.sum(axis=1)])

    classifier = SplitConformalClassifier(Given(range(11)), confidence_level=coverage, conformity_score="lac")
    classifier.conformalize(disguised(probabilities), labels.numpy())
    _, sets = classifier.predict_set(disguised(others))
    np.testing.assert_array_equal(our_sets(conformal, others), sets[:, :10, 0])
