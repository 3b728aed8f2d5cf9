"""Fitting of OOD detection: class means and covariance of embeddings, and the threshold."""

from __future__ import annotations

import torch

from handlers.uncertainty import MEANS, UNIT, WHITENING, significant, straightened
from training.uncertainty.conformal import conservative_rank

# Rows of a chunk, so that only a part of a large split is in memory as float64.
ROWS = 4096
# Unit of `straightened`, as a share of the root mean square of the embeddings. On four networks (two of CIFAR-10, blood
# cells, digits) this value separated digits and pieces of photos best from the networks' own images.
UNIT_SHARE = 0.05


def fit_mahalanobis(embeddings: torch.Tensor, labels: torch.Tensor, *, classes: int) -> dict[str, torch.Tensor]:
    """Fit handlers.uncertainty.Mahalanobis, float32 tensors, to embeddings (N, D) and labels (N,) of training images.

    Raises:
        ValueError: a class has no image, or all images of each class have the same embedding.
    """
    counts = torch.bincount(labels, minlength=classes)
    if not bool((counts > 0).all()):
        raise ValueError(f"class {int(counts.argmin())} has no training image: Mahalanobis scores need one of each")
    unit = (UNIT_SHARE * embeddings.double().square().mean().sqrt()).clamp(min=1e-12).float().view(1)
    embeddings = straightened(embeddings, unit).float()
    sums = torch.zeros(classes, embeddings.shape[1], dtype=torch.float64)
    for rows, row_labels in zip(torch.split(embeddings, ROWS), torch.split(labels, ROWS), strict=True):
        sums.index_add_(0, row_labels, rows.double())
    means = sums / counts[:, None]
    covariance = shrunk_covariance(embeddings, labels, means)
    if not float(covariance.trace()) > 0:
        raise ValueError(
            "the embeddings of the training images do not differ within their classes: "
            "Mahalanobis scores cannot be had; choose `ood: energy`"
        )
    values, vectors = torch.linalg.eigh(covariance)
    # The limit avoids a division by zero. It is far below the precision of float32 embeddings, so nothing else changes.
    whitening = vectors * values.clamp(min=float(values[-1]) * 1e-9).rsqrt()
    return {MEANS: means.float(), WHITENING: whitening.float().contiguous(), UNIT: unit}


def shrunk_covariance(embeddings: torch.Tensor, labels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """Return the covariance (D, D) within classes, shrunk towards a multiple of the identity.

    The shrinkage minimizes the expected squared error (Ledoit, Wolf 2004, "A well-conditioned estimator for
    large-dimensional covariance matrices"). scikit-learn's ledoit_wolf computes the same, but needs several copies of
    all embeddings in memory.
    """
    count, width = embeddings.shape
    products = torch.zeros(width, width, dtype=torch.float64)
    fourth = 0.0
    for rows, row_labels in zip(torch.split(embeddings, ROWS), torch.split(labels, ROWS), strict=True):
        residuals = rows.double() - means[row_labels]
        products += residuals.T @ residuals
        fourth += float((residuals**2).sum(dim=1).square().sum())
    sample = products / count
    scale = sample.trace() / width
    target = scale * torch.eye(width, dtype=torch.float64)
    spread = float((sample - target).square().sum())
    noise = (fourth / count - float(sample.square().sum())) / count
    share = min(noise / spread, 1.0) if spread > 0 else 0.0
    return (1 - share) * sample + share * target


def fit_threshold(scores: torch.Tensor, false_positive_rate: float) -> tuple[float, tuple[str, ...]]:
    """Return a threshold that new images like these exceed at most at `false_positive_rate`, and remarks.

    Args:
        scores: (N,), of images that the weights were not fitted on.
    """
    ordered = sorted(significant(scores))
    rank = conservative_rank(len(ordered), 1 - false_positive_rate)
    if rank <= len(ordered):
        return ordered[rank - 1], ()
    remark = (
        f"{len(ordered)} calibration images are too few for a false positive rate of {false_positive_rate:g}. The "
        f"threshold is their largest score, so the rate may be one image in {len(ordered) + 1}"
    )
    return ordered[-1], (remark,)
