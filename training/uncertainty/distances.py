"""Fitting of the distances of OOD detection to the training images; handlers/uncertainty/ood.py computes them."""

from __future__ import annotations

import torch

from handlers.modalities.image.pixel_statistics import STATISTICS
from handlers.uncertainty.ood import (
    BACKGROUND_MEAN,
    BACKGROUND_WHITENING,
    MEANS,
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    PIXEL_PRECISION,
    UNIT,
    WHITENING,
    straightened,
)
from training.uncertainty.gaussian import class_means, shrunk_covariance, whitening

# Unit of `straightened`, as a share of the root mean square of the embeddings.
UNIT_SHARE = 0.05
# Least standard deviation of a pixel statistic, for levels and for logarithms. Compression and rounding change
# statistics by less, and gray images would otherwise be far from gray images that were saved as JPEG.
MIN_DEVIATION, MIN_LOG_DEVIATION = 0.01, 0.05


class DistanceError(ValueError):
    """The training images allow no such distance; the message says why."""


def embedding_tensors(
    score: str, embeddings: torch.Tensor, labels: torch.Tensor, classes: int
) -> dict[str, torch.Tensor]:
    """Return the tensors of handlers.uncertainty.ood.distance, float32, fitted to embeddings (N, D) and labels (N,).

    Raises:
        DistanceError: a class has no image, or all images of each class have the same embedding.
    """
    if score == "energy":
        return {}
    counts = torch.bincount(labels, minlength=classes)
    if not bool((counts > 0).all()):
        raise DistanceError(f"class {int(counts.argmin())} has no training image: Mahalanobis scores need one of each")
    tensors = {}
    if score == "mahalanobis_asinh":
        unit = (UNIT_SHARE * embeddings.double().square().mean().sqrt()).clamp(min=1e-12).float().view(1)
        tensors[UNIT] = unit
        embeddings = straightened(embeddings, unit).float()
    means = class_means(embeddings, labels, classes)
    covariance = shrunk_covariance(embeddings, labels, means)
    if not float(covariance.trace()) > 0:
        raise DistanceError(
            "the embeddings of the training images do not differ within their classes: "
            "Mahalanobis scores cannot be had; choose `ood: energy`"
        )
    tensors |= {MEANS: means.float(), WHITENING: whitening(covariance).float().contiguous()}
    if score == "relative_mahalanobis":
        single_class = torch.zeros_like(labels)
        mean = class_means(embeddings, single_class, 1)
        tensors[BACKGROUND_MEAN] = mean.float()
        tensors[BACKGROUND_WHITENING] = (
            whitening(shrunk_covariance(embeddings, single_class, mean)).float().contiguous()
        )
    return tensors


def pixel_tensors(statistics: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the tensors of PixelDistance (handlers/uncertainty/ood.py), float64, of training statistics (N, K)."""
    mean = statistics.mean(dim=0)
    floors = [MIN_LOG_DEVIATION if name.startswith("log") else MIN_DEVIATION for name in STATISTICS]
    deviation = statistics.std(dim=0, correction=0).maximum(torch.tensor(floors, dtype=torch.float64))
    values, single_class = (statistics - mean) / deviation, torch.zeros(len(statistics), dtype=torch.int64)
    covariance = shrunk_covariance(values, single_class, torch.zeros(1, values.shape[1], dtype=torch.float64))
    # Variances are 1 then, except of statistics that differ by less than the least deviation.
    covariance += torch.diag((1 - covariance.diagonal()).clamp(min=0))
    root = whitening(covariance)
    return {PIXEL_MEAN: mean, PIXEL_DEVIATION: deviation, PIXEL_PRECISION: root @ root.T}
