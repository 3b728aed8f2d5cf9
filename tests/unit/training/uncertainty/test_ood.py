from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from handlers.uncertainty import MEANS, UNIT, WHITENING, Mahalanobis, energy, significant, straightened
from training.uncertainty.ood import UNIT_SHARE, fit_mahalanobis, fit_threshold, shrunk_covariance

CPU = torch.device("cpu")
MIXING = torch.tensor([[2.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.3, 0.0], [0.0, 0.0, 0.1, 0.0], [1.0, 0.0, 0.0, 3.0]])
CENTRES = torch.tensor([[5.0, 0.0, 0.0, -1.0], [-5.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 40.0]])


def embeddings(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes in four dimensions that differ in scale and hang together."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    return CENTRES[labels] + torch.randn(count, 4, generator=generator) @ MIXING, labels


def test_scores_are_those_of_a_loop_over_images_and_classes() -> None:
    seen, labels = embeddings(400)
    scores = Mahalanobis.of(fit_mahalanobis(seen, labels, classes=3), CPU)
    points = torch.cat([seen[:20], 10 * torch.randn(20, 4, generator=torch.Generator().manual_seed(1))])
    unit = UNIT_SHARE * seen.double().square().mean().sqrt().item()
    array, of = np.arcsinh(seen.double().numpy() / unit), labels.numpy()
    means = [array[of == label].mean(axis=0) for label in range(3)]
    residuals = np.array([row - means[label] for row, label in zip(array, of, strict=True)])
    inverse = np.linalg.inv(ledoit_wolf(residuals, assume_centered=True)[0])
    expected = [
        min((row - mean) @ inverse @ (row - mean) for mean in means)
        for row in np.arcsinh(points.double().numpy() / unit)
    ]
    assert scores(points).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("count", "width"), [(30, 50), (500, 4), (5000, 8)])
def test_the_covariance_is_the_one_of_scikit_learn(count: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.uncertainty.ood.ROWS", 64)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(count, width, generator=generator) @ torch.randn(width, width, generator=generator)
    labels = torch.arange(count) % 2
    means = torch.stack([points[labels == label].double().mean(dim=0) for label in range(2)])
    expected, _ = ledoit_wolf((points.double() - means[labels]).numpy(), assume_centered=True)
    assert np.allclose(shrunk_covariance(points, labels, means).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_the_tensors_are_float32_and_whiten() -> None:
    seen, labels = embeddings(5000)
    tensors = fit_mahalanobis(seen, labels, classes=3)
    assert {name: (value.dtype, tuple(value.shape)) for name, value in tensors.items()} == {
        MEANS: (torch.float32, (3, 4)),
        WHITENING: (torch.float32, (4, 4)),
        UNIT: (torch.float32, (1,)),
    }
    straight = straightened(seen, tensors[UNIT]).float()
    covariance = shrunk_covariance(straight, labels, tensors[MEANS].double())
    whitening = tensors[WHITENING].double()
    assert torch.allclose(whitening.T @ covariance @ whitening, torch.eye(4, dtype=torch.float64), atol=1e-5)


def test_a_dimension_that_never_moved_is_no_division_by_zero() -> None:
    seen, labels = embeddings(400)
    seen = torch.cat([seen, torch.zeros(400, 2)], dim=1)
    scores = Mahalanobis.of(fit_mahalanobis(seen, labels, classes=3), CPU)
    moved = seen[:1].clone()
    moved[0, 5] = 1
    assert bool(scores(seen).isfinite().all())
    assert scores(moved).item() > 2 * scores(seen).max().item(), (
        "a change in a constant dimension is out of distribution"
    )


def test_embeddings_that_do_not_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"do not differ within their classes: .* choose `ood: energy`"):
        fit_mahalanobis(torch.ones(10, 4), torch.arange(10) % 2, classes=2)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(ValueError, match="class 2 has no training image"):
        fit_mahalanobis(torch.randn(10, 4), torch.arange(10) % 2, classes=3)


def test_energy_is_the_negative_log_of_the_sum_of_exponentials() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [-800.0, 0.0, 800.0]])
    assert energy(logits).tolist() == pytest.approx([-math.log(math.e + math.e**2 + math.e**3), -800])
    assert energy(logits).dtype == torch.float64


@pytest.mark.slow
@pytest.mark.parametrize(("count", "false_positive_rate"), [(99, 0.05), (199, 0.01), (60, 0.1)])
def test_new_images_alarm_exactly_as_often_as_promised(count: int, false_positive_rate: float) -> None:
    seeds, alarms = 4000, 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(seeds):
        scores = 100 * torch.rand(count + 1, generator=generator, dtype=torch.float64) ** 2
        threshold, _ = fit_threshold(scores[:-1], false_positive_rate)
        alarms += significant(scores[-1:])[0] > threshold
    promised = 1 - math.ceil(round((count + 1) * (1 - false_positive_rate), 9)) / (count + 1)
    assert promised <= false_positive_rate + 1e-9
    assert alarms / seeds == pytest.approx(promised, abs=3 * math.sqrt(promised * (1 - promised) / seeds) + 1e-3)


def test_too_few_images_give_the_largest_score_and_say_so() -> None:
    threshold, (remark,) = fit_threshold(torch.arange(10.0), 0.05)
    assert threshold == 9
    assert "10 calibration images are too few for a false positive rate of 0.05" in remark
    assert "one image in 11" in remark


def test_scores_are_rounded_to_four_significant_digits() -> None:
    assert significant(torch.tensor([123456.0, -7.37941, 0.000123449, 0.0])) == [123500.0, -7.379, 0.0001234, 0.0]


def test_straightened_is_linear_near_nothing_and_a_logarithm_far_from_it() -> None:
    near, far = straightened(torch.tensor([[0.001, -0.002]]), torch.tensor([2.0])), torch.tensor([[1e4, -1e5]])
    assert near[0].tolist() == pytest.approx([0.0005, -0.001], rel=1e-4)
    found = straightened(far, torch.tensor([2.0]))[0].tolist()
    assert found == pytest.approx([math.log(1e4), -math.log(1e5)], rel=1e-4)
