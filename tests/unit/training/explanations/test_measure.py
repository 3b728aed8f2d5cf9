"""The sample, and the measurement of all methods on a small network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handlers.classifier import Classifier
from handlers.engines.eager import Eager
from handlers.explain.plugin import AttributionPlugin
from models import architectures
from models.card import Input
from tests.unit.training.colors import card
from training.data.dataset import DataError, Split
from training.explanations import Sample, draw, measure

SIDE = 8


def classifier(spec: Input | None = None) -> Classifier:
    torch.manual_seed(0)
    model_card = card().model_copy(update={"input": spec or card().input})
    network = architectures.build("cnn", **model_card.architecture.arguments)
    return Classifier(model_card, Eager(network, model_card.input, torch.device("cpu")))


def split(count: int = 12, side: int = SIDE, masked: bool = True) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), dtype=bool)
    mask[:, : side // 2] = True
    return Split(list(pixels), [row % 3 for row in range(count)], (), [mask] * count if masked else ())


def test_draw_is_repeatable_and_without_duplicates() -> None:
    model, images = classifier(), split()
    sample, repeated, other = draw(model, images, 5), draw(model, images, 5), draw(model, images, 5, seed=1)
    assert sample.pictures.names == repeated.pictures.names != other.pictures.names
    assert len(set(sample.pictures.names)) == len(sample) == 5
    assert len(draw(model, images, 500)) == 12
    assert torch.equal(sample.images, repeated.images)


def test_sample_explains_the_predicted_class() -> None:
    sample = draw(classifier(), split(), 6)
    assert torch.equal(sample.weights.argmax(dim=1), sample.test.answered)
    assert sample.weights.sum(dim=1).tolist() == [1] * 6


def test_masks_are_resized_and_cropped_as_the_images() -> None:
    cropped = Input(size=8, resize="crop", crop=0.5, mean=(0, 0, 0), std=(1, 1, 1))
    for spec, side in ((None, 32), (cropped, 16)):
        masks = draw(classifier(spec), split(side=side), 2).masks
        assert masks is not None
        assert masks[0].tolist() == [[True] * 4 + [False] * 4] * 8
    assert draw(classifier(), split(masked=False), 2).masks is None


def test_mask_that_is_empty_after_cropping_is_an_error() -> None:
    empty = split(3)
    blind = Split(empty.images, empty.labels, (), [np.zeros((SIDE, SIDE), dtype=bool)] * 3)
    with pytest.raises(DataError, match="mask of image 0 is empty"):
        draw(classifier(), blind, 3)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return draw(classifier(), split(), 4)


@pytest.mark.slow
def test_every_method_is_measured_or_unsupported(sample: Sample) -> None:
    model = classifier()
    explainer = AttributionPlugin(model).explainer
    figures, maps = measure(model, sample)
    assert [method.name for method in figures.methods] == list(explainer.supported) == list(maps)
    assert figures.unsupported == explainer.unsupported
    assert (figures.images, figures.checked_images, figures.object_share) == (4, 4, 0.5)
    for method in figures.methods:
        assert maps[method.name].shape == (4, SIDE, SIDE)
        assert method.gap.value == pytest.approx(method.insertion - method.deletion, abs=1e-5)
        assert method.versus_center.value == pytest.approx(method.gap.value - figures.center_gap.value, abs=1e-5)
        assert method.relevance_mass is not None
        assert 0 <= method.relevance_mass.value <= 1
    assert figures.method("ig").completeness is not None
    assert figures.method("gradcam").completeness is None
    assert figures.method("ig").randomization_test < 0.5


def test_methods_fail_the_randomization_test_if_maps_do_not_depend_on_the_weights(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use the trained network as random network, so that the maps are equal."""
    model = classifier()
    network = model.engine.network
    monkeypatch.setattr("training.explanations.randomization_test.random_networks", lambda *_: [network])
    figures, _ = measure(model, sample)
    gradient_methods = [figures.method(name) for name in ("ig", "ixg")]
    assert min(method.randomization_test for method in gradient_methods) > 0.8
    assert not any(method.passes_checks for method in gradient_methods)
