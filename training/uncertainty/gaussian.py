"""Gaussian fits in float64, chunk by chunk, so that only a part of a large split is in memory as float64."""

from __future__ import annotations

import torch

ROWS = 4096


def class_means(values: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the mean of each class, float64 (classes, D), of values (N, D) and labels (N,); each class needs a row."""
    sums = torch.zeros(classes, values.shape[1], dtype=torch.float64)
    for rows, row_labels in zip(torch.split(values, ROWS), torch.split(labels, ROWS), strict=True):
        sums.index_add_(0, row_labels, rows.double())
    return sums / torch.bincount(labels, minlength=classes)[:, None]


def shrunk_covariance(values: torch.Tensor, labels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """Return the covariance (D, D) of values (N, D) around the means of their labels (N,).

    It is shrunk towards a multiple of the identity, by the share with the least expected squared error (Ledoit, Wolf
    2004, "A well-conditioned estimator for large-dimensional covariance matrices"). scikit-learn's ledoit_wolf computes
    the same, but needs several copies of all values in memory.
    """
    count, width = values.shape
    products = torch.zeros(width, width, dtype=torch.float64)
    fourth = 0.0
    for rows, row_labels in zip(torch.split(values, ROWS), torch.split(labels, ROWS), strict=True):
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


def whitening(covariance: torch.Tensor) -> torch.Tensor:
    """Return W, float64 (D, D), with W W' the inverse of the covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    # The limit avoids a division by zero. It is far below the precision of float32 embeddings, so nothing else changes.
    root: torch.Tensor = vectors * values.clamp(min=float(values[-1]) * 1e-9).rsqrt()
    return root
