"""Out-of-distribution (OOD) scores: how far an image is from the training images; see models.card.OutOfDistribution.

Two distances are compared on one scale, and the larger is the score: that of the network's embedding, which shows other
content, and that of the input's pixel statistics, which shows other colors, brightness or sharpness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from handlers.engines import Outputs
from handlers.modalities.image.pixel_statistics import STATISTICS
from models.card import OutOfDistribution, Scale

# Digits after the point of a score. Batch size changes the last bits of float32; these do not show it.
SCORE_DIGITS = 4
MEANS, WHITENING, UNIT = "means", "whitening", "unit"
BACKGROUND_MEAN, BACKGROUND_WHITENING = "background_mean", "background_whitening"
PIXEL_MEAN, PIXEL_DEVIATION, PIXEL_PRECISION = "pixel_mean", "pixel_deviation", "pixel_precision"

Detail = Literal["colors", "brightness", "sharpness", "content"]
# Distance of N images, float64 (N,); higher is further out of distribution.
Distance = Callable[[Outputs], torch.Tensor]


class OodError(ValueError):
    """The tensors of an OOD score are missing, or not those of this network."""


def energy(outputs: Outputs) -> torch.Tensor:
    """Return the energy -logsumexp of the logits, float64 (N,); Liu et al. 2020, arXiv:2010.03759."""
    return -outputs.logits.double().logsumexp(dim=1)


def straightened(embeddings: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """asinh(embeddings / unit), float64 (N, D): linear near 0, a logarithm beyond `unit` (Johnson 1949, Biometrika 36).

    After a ReLU most values are near 0 and few are large. Mahalanobis distances assume a Gaussian distribution.
    """
    return torch.asinh(embeddings.double() / unit)


class Mahalanobis:
    """Squared distance to the nearest class mean, under one covariance for all (Lee et al. 2018, arXiv:1807.03888).

    Args:
        means: of each class, (classes, D), of embeddings, straightened if there is a unit.
        whitening: (D, D); its product with its transpose is the inverse covariance of the same.
        unit: of `straightened`, (1,); None: the embeddings as they are.
    """

    def __init__(self, means: torch.Tensor, whitening: torch.Tensor, unit: torch.Tensor | None = None) -> None:
        self._unit = None if unit is None else unit.double()
        # Centering does not change distances, and the squares of small numbers are more exact.
        self._center = means.double().mean(dim=0)
        self._whitening = whitening.double()
        means = (means.double() - self._center) @ self._whitening
        self._squares = (means**2).sum(dim=1)
        self._pulls = -2 * means.T

    def __call__(self, outputs: Outputs) -> torch.Tensor:
        """Return the distances, float64 (N,)."""
        embeddings = outputs.embeddings
        values = embeddings.double() if self._unit is None else straightened(embeddings, self._unit)
        white = (values - self._center) @ self._whitening
        # |white - mean|^2 = |white|^2 + (|mean|^2 - 2 white mean), and the classes differ in the bracket alone.
        nearest = torch.addmm(self._squares, white, self._pulls).amin(dim=1)
        return nearest.add_(torch.linalg.vecdot(white, white)).clamp_(min=0)


class RelativeMahalanobis:
    """Mahalanobis distance minus the distance from the mean of all images (Ren et al. 2021, arXiv:2106.09022).

    Args:
        nearest: distance from the nearest class mean.
        mean: of all embeddings, (1, D).
        whitening: (D, D), of the covariance of all embeddings.
    """

    def __init__(self, nearest: Mahalanobis, mean: torch.Tensor, whitening: torch.Tensor) -> None:
        self._nearest = nearest
        self._whitening = whitening.double()
        self._shift = mean.double() @ self._whitening

    def __call__(self, outputs: Outputs) -> torch.Tensor:
        """Return the distances, float64 (N,); they may be below 0."""
        white = torch.addmm(self._shift, outputs.embeddings.double(), self._whitening, beta=-1)
        return self._nearest(outputs).sub_(torch.linalg.vecdot(white, white))


def distance(score: str, tensors: Mapping[str, torch.Tensor]) -> Distance:
    """Return the distance of an embedding that models.card.OutOfDistribution names.

    Raises:
        OodError: a tensor is missing.
    """
    try:
        if score == "energy":
            return energy
        nearest = Mahalanobis(
            tensors[MEANS], tensors[WHITENING], tensors[UNIT] if score == "mahalanobis_asinh" else None
        )
        if score != "relative_mahalanobis":
            return nearest
        return RelativeMahalanobis(nearest, tensors[BACKGROUND_MEAN], tensors[BACKGROUND_WHITENING])
    except KeyError as error:
        raise OodError(f"the score {score} needs the tensor {error}") from None


class PixelDistance:
    """Squared Mahalanobis distance of pixel statistics from those of the training images.

    Args:
        mean: of each statistic, (K,).
        deviation: standard deviation of each, (K,).
        precision: inverse covariance (K, K) of the statistics, each less its mean and divided by its deviation.
    """

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor, precision: torch.Tensor) -> None:
        self._mean, self._deviation = mean.double().cpu(), deviation.double().cpu()
        self._precision = precision.double().cpu()
        # With these, the squared length of (statistics @ whitening - shift) is the distance.
        self._whitening = torch.linalg.cholesky(self._precision) / self._deviation[:, None]
        self._shift = (self._mean @ self._whitening)[None]
        # For each kind of statistic: where they are, and the inverse of their block of the precision matrix.
        self._groups: dict[Detail, tuple[torch.Tensor, torch.Tensor]] = {}
        kinds: tuple[Detail, ...] = ("colors", "brightness", "sharpness")
        for kind in kinds:
            indices = torch.tensor([index for index, name in enumerate(STATISTICS.values()) if name == kind])
            self._groups[kind] = (indices, torch.linalg.inv(self._precision[indices[:, None], indices]))

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> PixelDistance:
        """Build it from the tensors of uncertainty.safetensors.

        Raises:
            OodError: a tensor is missing, or not of these statistics.
        """
        try:
            mean, deviation, precision = (tensors[name] for name in (PIXEL_MEAN, PIXEL_DEVIATION, PIXEL_PRECISION))
        except KeyError as error:
            raise OodError(f"pixel statistics need the tensor {error}") from None
        if mean.shape != (len(STATISTICS),):
            raise OodError(f"{len(mean)} pixel statistics are stored, and this code computes {len(STATISTICS)}")
        return cls(mean, deviation, precision)

    def __call__(self, statistics: torch.Tensor) -> torch.Tensor:
        """Return the distances of statistics (N, K), float64 (N,)."""
        white = torch.addmm(self._shift, statistics, self._whitening, beta=-1)
        distances: torch.Tensor = torch.linalg.vecdot(white, white)
        return distances

    def main_kinds(self, statistics: torch.Tensor) -> list[Detail]:
        """Return the kind of statistics (N, K) that explains most of each distance.

        It is the kind without which the rest is nearest: the distance falls by w' B^-1 w, where w is the part of
        precision @ values and B the block of the precision matrix that belong to the kind.
        """
        pull = (statistics - self._mean) / self._deviation @ self._precision
        falls = [torch.linalg.vecdot(pull[:, at] @ inverse, pull[:, at]) for at, inverse in self._groups.values()]
        kinds = list(self._groups)
        return [kinds[index] for index in torch.stack(falls).argmax(dim=0).tolist()]


def scaled(distances: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Return distances (N,) on the card's scale, float64 (N,): 0 is the median of calibration images, 1 their 95 %."""
    median, upper = scale.median, scale.upper
    if scale.logarithmic:
        distances, median, upper = distances.clamp(min=1e-12).log_(), math.log(median), math.log(upper)
    return (distances - median) / (upper - median)


@dataclass(frozen=True, slots=True)
class OodScores:
    """OOD scores of N images.

    Attributes:
        values: rounded to SCORE_DIGITS.
        details: returns what is most unlike the training images, for each image.
    """

    values: list[float]
    details: Callable[[], list[Detail]]


class OodDetector:
    """OOD scores by a card's `ood`, with its tensors.

    Raises:
        OodError: a tensor is missing, or not of these statistics.
    """

    def __init__(self, card: OutOfDistribution, tensors: Mapping[str, torch.Tensor]) -> None:
        self._card = card
        self._distance = distance(card.score, tensors)
        self._pixel_distance = PixelDistance.of(tensors) if card.pixel_scale is not None else None

    def __call__(self, outputs: Outputs) -> OodScores:
        """Return the scores of N images; `outputs.statistics` are needed if the card has a `pixel_scale`."""
        content = scaled(self._distance(outputs).cpu(), self._card.scale)
        if self._pixel_distance is None or self._card.pixel_scale is None:
            return OodScores(_rounded(content), lambda: ["content"] * len(content))
        statistics, pixel_distance = outputs.statistics, self._pixel_distance
        assert statistics is not None, "handlers.uncertainty.observation.observe adds them"
        pixels = scaled(pixel_distance(statistics), self._card.pixel_scale)

        def details() -> list[Detail]:
            kinds = pixel_distance.main_kinds(statistics)
            by_content = (content >= pixels).tolist()
            return ["content" if is_content else kind for is_content, kind in zip(by_content, kinds, strict=True)]

        return OodScores(_rounded(torch.maximum(content, pixels)), details)


def _rounded(scores: torch.Tensor) -> list[float]:
    values: list[float] = scores.round(decimals=SCORE_DIGITS).tolist()
    return values
