"""Expected gradients: training images as baselines, on the digits model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr

from handlers.classifier import Classifier
from handlers.explain.explainer import NO_TRAINING_IMAGES, Explainer
from handlers.explain.methods import attribution
from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.background import SAMPLES, Background
from handlers.explain.methods.gradshap import positions
from handlers.explain.methods.introspection import introspect
from handlers.explain.methods.method import AttributionInputs, MethodSettings, TargetScore
from handlers.explain.registry import METHODS
from handlers.modalities.image import images as codec
from models.card import Explanations
from models.release import NEIGHBORS
from tests.unit.handlers.explain.asking import SIZE, images, network, targets
from training.data import Dataset

GRADSHAP = METHODS["gradshap"]
COUNT = 4


@pytest.fixture(scope="module")
def explainer(classifier: Classifier) -> Explainer:
    return Explainer(classifier.card, classifier.eager_network, classifier.folder)


@pytest.fixture(scope="module")
def shown(digits: Dataset, classifier: Classifier) -> torch.Tensor:
    spec = classifier.card.input
    pixels = [codec.pixels(codec.picture(image, spec), spec) for image in digits.test.images[:COUNT]]
    return codec.batch(pixels, spec, torch.device("cpu"))


@pytest.fixture(scope="module")
def weights(classifier: Classifier, shown: torch.Tensor) -> torch.Tensor:
    return torch.eye(10)[classifier.eager_network.network(shown).argmax(dim=1)]


def explain(
    explainer: Explainer, name: str, shown: torch.Tensor, weights: torch.Tensor, settings: MethodSettings
) -> Attribution:
    inputs = explainer.attribution_inputs(shown, weights, settings)
    return attribution.attribute(METHODS[name], explainer.target_score, inputs, settings)


def exact(explainer: Explainer, image: torch.Tensor, weight: torch.Tensor, baselines: torch.Tensor) -> torch.Tensor:
    """Compute expected gradients without the linear prefix, by 50 points on the line from each baseline."""
    total = torch.zeros_like(image)
    for baseline in baselines:
        places = (torch.arange(50) + 0.5)[:, None, None, None] / 50
        points = (baseline + places * (image - baseline)).requires_grad_()
        score = explainer.target_score(points, weight.expand(50, -1)).sum()
        total += (image - baseline) * torch.autograd.grad(score, points)[0].mean(dim=0)
    return total / len(baselines)


def rank_correlation(values: torch.Tensor, others: torch.Tensor) -> float:
    """Return the mean rank correlation of the maps of values (N, 3, H, W)."""
    pairs = zip(values.sum(dim=1).flatten(1), others.sum(dim=1).flatten(1), strict=True)
    return float(torch.tensor([spearmanr(*pair).statistic for pair in pairs]).mean())


def test_values_agree_with_a_loop_over_the_same_training_images_and_differ_from_one_baseline(
    explainer: Explainer, shown: torch.Tensor, weights: torch.Tensor
) -> None:
    assert explainer.background is not None
    baselines = explainer.background.for_samples(100).images
    assert len(baselines) == 100 // SAMPLES
    reference = torch.stack([exact(explainer, *pair, baselines) for pair in zip(shown, weights, strict=True)])
    result = explain(explainer, "gradshap", shown, weights, GRADSHAP.settings)
    assert rank_correlation(result.values, reference) > 0.98
    assert float((result.values - reference).abs().max()) < 0.1 * float(reference.abs().max())
    single = explain(explainer, "ig", shown, weights, METHODS["ig"].settings)
    assert rank_correlation(result.values, single.values) < 0.8


@pytest.mark.slow
def test_values_agree_with_the_mean_over_many_training_images(
    explainer: Explainer, shown: torch.Tensor, weights: torch.Tensor, digits: Dataset, classifier: Classifier
) -> None:
    """The training images are the originals here, and not the small copies of the release."""
    from captum.attr import GradientShap

    spec = classifier.card.input
    pixels = [codec.pixels(codec.picture(image, spec), spec) for image in digits.train.images]
    originals = codec.batch(pixels, spec, torch.device("cpu"))
    torch.manual_seed(0)
    reference = GradientShap(explainer.target_score).attribute(
        shown, originals, n_samples=1000, stdevs=0.0, additional_forward_args=(weights,)
    )
    result = explain(explainer, "gradshap", shown, weights, GRADSHAP.settings)
    assert rank_correlation(result.values, reference) > 0.85


def test_sum_is_the_score_minus_the_mean_score_of_the_baselines(
    explainer: Explainer, shown: torch.Tensor, weights: torch.Tensor
) -> None:
    result = explain(explainer, "gradshap", shown, weights, GRADSHAP.settings)
    assert explainer.background is not None
    baselines = explainer.background.for_samples(100).images
    mean = (explainer.target_score.network(baselines) @ weights.T).mean(dim=0)
    assert result.baseline_logit is not None
    assert torch.allclose(result.baseline_logit, mean, atol=1e-4)
    assert all(result.completeness(row) for row in range(COUNT))
    assert [result.completeness(row)["ok"] for row in range(COUNT)] == [True] * COUNT  # type: ignore[index]


def test_first_training_images_have_all_classes(explainer: Explainer, classifier: Classifier) -> None:
    assert explainer.neighbors is not None
    files = explainer.neighbors.thumbnails(20)
    background = Background.of(files, classifier.card.input, explainer.target_score.network, torch.device("cpu"))
    predicted = background.logits.argmax(dim=1).tolist()
    assert len(set(predicted[:10])) >= 9, "the network may be wrong about one of them"
    assert background.images.shape == (20, 3, classifier.card.input.size, classifier.card.input.size)
    assert len(explainer.neighbors.thumbnails(10**6)) == len(explainer.neighbors)


def test_few_training_images_get_more_samples_each() -> None:
    explained = network("cnn")
    few = images(3, seed=9)
    target_score = TargetScore(explained, introspect(explained, SIZE))
    inputs = AttributionInputs(images(1), targets(0), background=Background(few, explained(few)).for_samples(100))
    result = attribution.attribute(GRADSHAP, target_score, inputs, replace(GRADSHAP.settings, steps=100))
    completeness = result.completeness(0)
    assert completeness is not None
    assert abs(completeness["delta"]) < 0.05 * abs(float(result.target_logit - result.baseline_logit))  # type: ignore[operator]


def test_positions_of_a_line_are_equally_spaced_and_lines_are_shifted() -> None:
    places = positions(4, 5)
    assert places.shape == (4, 5)
    assert torch.allclose(places.diff(dim=1), torch.full((4, 4), 0.2))
    assert torch.allclose(places.flatten().sort().values, (torch.arange(20) + 0.5) / 20)
    assert torch.equal(places, positions(4, 5))


@pytest.mark.parametrize("lost", ["folder", "digest"])
def test_a_model_without_training_images_does_not_offer_the_method(classifier: Classifier, lost: str) -> None:
    digests = {name: digest for name, digest in classifier.card.digests.items() if name != NEIGHBORS}
    card = classifier.card.model_copy(
        update={"explanations": Explanations(method="gradshap"), **({"digests": digests} if lost == "digest" else {})}
    )
    explainer = Explainer(card, classifier.eager_network, None if lost == "folder" else classifier.folder)
    assert explainer.unsupported == {"gradshap": NO_TRAINING_IMAGES}
    assert explainer.default == "ig"
    assert explainer.background is None
