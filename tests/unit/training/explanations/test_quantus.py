"""Our ranking of methods, compared with that of Quantus (Hedström et al., JMLR 24, 2023) on the digits model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from handlers.classifier import Classifier
from handlers.explain.evidence import faithfulness
from handlers.explain.methods import attribution, patches
from handlers.explain.methods.patches import GRID
from handlers.explain.plugin import AttributionPlugin
from training.data import Dataset
from training.explanations import Sample, draw

IMAGES = 16
# Kendall's tau of two unrelated rankings of nine maps is above this value in 4 of 100 cases.
MIN_AGREEMENT = 0.5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample(classifier: Classifier, digits: Dataset) -> Sample:
    return draw(classifier, digits.test, IMAGES)


@pytest.fixture(scope="module")
def maps(classifier: Classifier, sample: Sample) -> dict[str, torch.Tensor]:
    """Signed maps (N, H, W) of all methods, and of a method that knows nothing."""
    explainer = AttributionPlugin(classifier).explainer
    by_method = {}
    for name, method in explainer.supported.items():
        inputs = explainer.attribution_inputs(sample.images, sample.weights, method.settings)
        result = attribution.attribute(method, explainer.target_score, inputs, method.settings)
        by_method[name] = torch.stack([result.heat(row) for row in range(len(sample))])
    noise = torch.randn(sample.images[:, 0].shape, generator=torch.Generator().manual_seed(0))
    return {**by_method, "random": noise}


@pytest.fixture(scope="module")
def gaps(classifier: Classifier, sample: Sample, maps: dict[str, torch.Tensor]) -> list[float]:
    network, images, weights = classifier.eager_network.network, sample.images, sample.weights
    start = faithfulness.insertion_start(network, images, weights).images
    return [float(faithfulness.curves(network, images, weights, heats, start).gap.mean()) for heats in maps.values()]


def agreement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return Kendall's tau of two lists of scores: 1 for the same ranking, about 0 for unrelated ones."""
    return float(kendalltau(ours, theirs).statistic)


def pixel_flipping(classifier: Classifier, sample: Sample, heats: torch.Tensor, steps: int) -> np.ndarray:
    """Return Quantus' probability of the class after each of `steps` steps, which flip equally many pixels."""
    import quantus

    metric = quantus.PixelFlipping(
        features_in_step=heats[0].numel() // steps, perturb_baseline=0.0, normalise=False, disable_warnings=True
    )
    curves = metric(
        model=classifier.eager_network.network,
        x_batch=sample.images.numpy(),
        y_batch=sample.weights.argmax(dim=1).numpy(),
        a_batch=heats[:, None].numpy(),
        device="cpu",
        softmax=True,
    )
    # Quantus flips each of the three channels of a pixel by itself, so a step of ours takes three of its steps.
    return np.asarray(curves)[:, 2::3]


def test_deletion_of_patches_is_pixel_flipping_of_maps_with_one_value_for_each_patch(
    classifier: Classifier, sample: Sample, maps: dict[str, torch.Tensor]
) -> None:
    network, images, heats = classifier.eager_network.network, sample.images, maps["ig"]
    ours = faithfulness.curves(network, images, sample.weights, heats, images, steps=GRID**2).deletion
    coarse = patches.pixels(patches.evidence(heats), *heats.shape[1:])
    theirs = pixel_flipping(classifier, sample, coarse, GRID**2)
    assert ours[:, 1:].numpy() == pytest.approx(theirs, abs=1e-4)


def test_our_ranking_agrees_with_pixel_flipping(
    classifier: Classifier, sample: Sample, maps: dict[str, torch.Tensor], gaps: list[float]
) -> None:
    """Pixel flipping (Bach et al., PLOS ONE 10(7), 2015) removes single pixels, and we remove patches of nine."""
    areas = [float(pixel_flipping(classifier, sample, heats, 16).mean()) for heats in maps.values()]
    assert agreement(gaps, [-area for area in areas]) > MIN_AGREEMENT


def test_our_ranking_agrees_with_faithfulness_correlation(
    classifier: Classifier, sample: Sample, maps: dict[str, torch.Tensor], gaps: list[float]
) -> None:
    """Faithfulness correlation (Bhatt et al., arXiv 2005.00631) removes random pixels, without any order."""
    import quantus

    size = classifier.card.input.size**2
    metric = quantus.FaithfulnessCorrelation(
        nr_runs=50,
        subset_size=size // 8,
        perturb_baseline=0.0,
        normalise=False,
        return_aggregate=False,
        disable_warnings=True,
    )
    correlations = []
    for heats in maps.values():
        np.random.seed(0)
        scores = metric(
            model=classifier.eager_network.network,
            x_batch=sample.images.numpy(),
            y_batch=sample.weights.argmax(dim=1).numpy(),
            a_batch=heats[:, None].numpy(),
            device="cpu",
            softmax=False,
        )
        correlations.append(float(np.mean(scores)))
    assert agreement(gaps, correlations) > MIN_AGREEMENT
