"""The sample that methods are measured on, and the measuring, on a network that knows one thing for sure."""

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
    about = card().model_copy(update={"input": spec or card().input})
    network = architectures.build("cnn", **about.architecture.arguments)
    return Classifier(about, Eager(network, about.input, torch.device("cpu")))


def split(count: int = 12, side: int = SIDE, masked: bool = True) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), dtype=bool)
    mask[:, : side // 2] = True
    return Split(list(pixels), [place % 3 for place in range(count)], (), [mask] * count if masked else ())


def test_the_same_seed_draws_the_same_images_and_never_one_twice() -> None:
    model, whole = classifier(), split()
    one, again, other = draw(model, whole, 5), draw(model, whole, 5), draw(model, whole, 5, seed=1)
    assert one.pictures.names == again.pictures.names != other.pictures.names
    assert len(set(one.pictures.names)) == len(one) == 5
    assert len(draw(model, whole, 500)) == 12
    assert torch.equal(one.images, again.images)


def test_what_is_explained_is_what_the_model_answers() -> None:
    sample = draw(classifier(), split(), 6)
    assert torch.equal(sample.weights.argmax(dim=1), sample.test.answered)
    assert sample.weights.sum(dim=1).tolist() == [1] * 6


def test_masks_go_where_the_images_go() -> None:
    cropped = Input(size=8, resize="crop", crop=0.5, mean=(0, 0, 0), std=(1, 1, 1))
    for spec, side in ((None, 32), (cropped, 16)):
        masks = draw(classifier(spec), split(side=side), 2).masks
        assert masks is not None
        assert masks[0].tolist() == [[True] * 4 + [False] * 4] * 8
    assert draw(classifier(), split(masked=False), 2).masks is None


def test_an_object_that_the_network_does_not_see_is_an_error() -> None:
    empty = split(3)
    blind = Split(empty.images, empty.labels, (), [np.zeros((SIDE, SIDE), dtype=bool)] * 3)
    with pytest.raises(DataError, match="mask of image 0 is empty"):
        draw(classifier(), blind, 3)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return draw(classifier(), split(), 4)


def test_every_method_is_measured_or_refused(sample: Sample) -> None:
    model = classifier()
    explainer = AttributionPlugin(model).explainer
    found, maps = measure(model, sample)
    assert [one.name for one in found.methods] == list(explainer.supported) == list(maps)
    assert found.refused == explainer.unsupported
    assert (found.images, found.checked, found.object) == (4, 4, 0.5)
    for one in found.methods:
        assert maps[one.name].shape == (4, SIDE, SIDE)
        assert one.gap.value == pytest.approx(one.insertion - one.deletion, abs=1e-5)
        assert one.versus_center.value == pytest.approx(one.gap.value - found.center.value, abs=1e-5)
        assert one.mass is not None
        assert 0 <= one.mass.value <= 1
    figures = {one.name: one for one in found.methods}
    assert figures["ig"].completeness is not None
    assert figures["gradcam"].completeness is None
    assert figures["ig"].likeness < 0.5


def test_a_network_that_knows_nothing_is_alike_itself(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check would fail a method whose maps stay as they were: here, since the weights do."""
    model = classifier()
    network = model.engine.network
    monkeypatch.setattr("training.explanations.randomization_test.forgetful", lambda *_: [network])
    found, _ = measure(model, sample)
    assert min(one.likeness for one in found.methods if one.name in ("ig", "ixg")) > 0.8
    assert not any(one.sound for one in found.methods if one.name in ("ig", "ixg"))
