from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from handlers.engines import Outputs
from handlers.modalities.image.pixel_statistics import STATISTICS, pixel_statistics
from handlers.uncertainty.ood import MEANS, UNIT, WHITENING, PixelDistance, distance, straightened
from training.uncertainty.distances import UNIT_SHARE, embedding_tensors, pixel_tensors
from training.uncertainty.gaussian import shrunk_covariance

MIXING = torch.tensor([[2.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.3, 0.0], [0.0, 0.0, 0.1, 0.0], [1.0, 0.0, 0.0, 3.0]])
CENTRES = torch.tensor([[5.0, 0.0, 0.0, -1.0], [-5.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 40.0]])


def embeddings(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes in four dimensions that differ in scale and hang together."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    return CENTRES[labels] + torch.randn(count, 4, generator=generator) @ MIXING, labels


def scores(score: str, points: torch.Tensor, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return distance(score, embedding_tensors(score, seen, labels, 3))(Outputs(torch.zeros(len(points), 3), points))


def nearest(points: np.ndarray, array: np.ndarray, of: np.ndarray, classes: int) -> np.ndarray:
    """Squared distances of points from the nearest class, by a loop over images and classes."""
    means = [array[of == label].mean(axis=0) for label in range(classes)]
    residuals = np.array([row - means[label] for row, label in zip(array, of, strict=True)])
    inverse = np.linalg.inv(ledoit_wolf(residuals, assume_centered=True)[0])
    return np.array([min((row - mean) @ inverse @ (row - mean) for mean in means) for row in points])


@pytest.mark.parametrize("score", ["mahalanobis", "mahalanobis_asinh", "relative_mahalanobis"])
def test_distances_are_those_of_a_loop_over_images_and_classes(score: str) -> None:
    seen, labels = embeddings(400)
    points = torch.cat([seen[:20], 10 * torch.randn(20, 4, generator=torch.Generator().manual_seed(1))])
    array, at, of = seen.double().numpy(), points.double().numpy(), labels.numpy()
    if score == "mahalanobis_asinh":
        unit = UNIT_SHARE * seen.double().square().mean().sqrt().item()
        array, at = np.arcsinh(array / unit), np.arcsinh(at / unit)
    expected = nearest(at, array, of, 3)
    if score == "relative_mahalanobis":
        expected = expected - nearest(at, array, np.zeros_like(of), 1)
    assert scores(score, points, seen, labels).tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("count", "width"), [(30, 50), (500, 4), (5000, 8)])
def test_covariance_is_the_one_of_scikit_learn(count: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.uncertainty.gaussian.ROWS", 64)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(count, width, generator=generator) @ torch.randn(width, width, generator=generator)
    labels = torch.arange(count) % 2
    means = torch.stack([points[labels == label].double().mean(dim=0) for label in range(2)])
    expected, _ = ledoit_wolf((points.double() - means[labels]).numpy(), assume_centered=True)
    assert np.allclose(shrunk_covariance(points, labels, means).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_tensors_are_float32_and_whiten() -> None:
    seen, labels = embeddings(5000)
    tensors = embedding_tensors("mahalanobis_asinh", seen, labels, 3)
    assert {name: (value.dtype, tuple(value.shape)) for name, value in tensors.items()} == {
        MEANS: (torch.float32, (3, 4)),
        WHITENING: (torch.float32, (4, 4)),
        UNIT: (torch.float32, (1,)),
    }
    straight = straightened(seen, tensors[UNIT]).float()
    covariance = shrunk_covariance(straight, labels, tensors[MEANS].double())
    whitening = tensors[WHITENING].double()
    assert torch.allclose(whitening.T @ covariance @ whitening, torch.eye(4, dtype=torch.float64), atol=1e-5)


def test_constant_dimension_is_no_division_by_zero() -> None:
    seen, labels = embeddings(400)
    seen = torch.cat([seen, torch.zeros(400, 2)], dim=1)
    moved = seen[:1].clone()
    moved[0, 5] = 1
    ordinary = scores("mahalanobis", seen, seen, labels)
    assert bool(ordinary.isfinite().all())
    assert scores("mahalanobis", moved, seen, labels).item() > 2 * ordinary.max().item()


def test_equal_embeddings_are_an_error_with_advice() -> None:
    with pytest.raises(ValueError, match=r"do not differ within their classes: .* choose `ood: energy`"):
        embedding_tensors("mahalanobis", torch.ones(10, 4), torch.arange(10) % 2, 2)


def test_class_without_images_is_named() -> None:
    with pytest.raises(ValueError, match="class 2 has no training image"):
        embedding_tensors("mahalanobis", torch.randn(10, 4), torch.arange(10) % 2, 3)


def noise(count: int, seed: int, channels: int = 3) -> torch.Tensor:
    drawn = torch.randint(0, 256, (count, channels, 12, 12), generator=torch.Generator().manual_seed(seed))
    return pixel_statistics(drawn.expand(-1, 3, -1, -1).byte())


def test_pixel_distance_is_that_of_the_definition() -> None:
    seen, points = noise(500, 0), noise(20, 1)
    tensors = pixel_tensors(seen)
    mean, deviation = seen.numpy().mean(axis=0), tensors["pixel_deviation"].numpy()
    standard = (seen.numpy() - mean) / deviation
    covariance = ledoit_wolf(standard, assume_centered=True)[0]
    covariance += np.diag((1 - covariance.diagonal()).clip(min=0))
    at = (points.numpy() - mean) / deviation
    expected = [row @ np.linalg.inv(covariance) @ row for row in at]
    assert PixelDistance.of(tensors)(points).tolist() == pytest.approx(expected, rel=1e-6)


def test_gray_training_images_do_not_make_the_color_noise_of_compression_foreign() -> None:
    """Without a least deviation, one gray level of red would be infinitely far from gray images."""
    tensors = pixel_tensors(noise(500, 0, channels=1))
    points = noise(50, 1, channels=1)
    shifted = points.clone()
    shifted[:, list(STATISTICS).index("red minus green")] += 1 / 255
    distances = PixelDistance.of(tensors)
    assert float((distances(shifted) - distances(points)).abs().max()) < 3
