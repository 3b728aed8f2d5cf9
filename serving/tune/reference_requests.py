"""Reference requests: the archive's golden images, or those of a folder, with the expected answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.golden import GoldenError, tolerance_of
from serving.errors import ArchiveError
from serving.rollout import golden_check
from serving.tune.load import ReferenceRequest
from torchlight_client import Client


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """An image, and its most probable class when it is predicted alone."""

    image: bytes
    label: str
    probability: float

    def request(self, path: str) -> ReferenceRequest:
        """Return the request that sends the image to `path`."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(self.image)}\r\n\r\n"
        )
        return ReferenceRequest(head.encode("ascii") + self.image, self.label, self.probability)


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """Reference images, predicted by `engine`. Other batches and threads may change probabilities by `tolerance`."""

    images: Sequence[ReferenceImage]
    engine: str

    @property
    def tolerance(self) -> float:
        """Return the absolute tolerance of probabilities."""
        return tolerance_of(self.engine)


def predict_references(client: Client, mar: Path, model: str, version: str, files: Sequence[Path] = ()) -> ReferenceSet:
    """Predict each image alone, after the golden answers were reproduced.

    Args:
        mar: the archive with the golden images.
        files: images to use; without any, the golden images.

    Raises:
        ArchiveError: a golden answer differs.
        TorchlightError: an image is not answered.
    """
    try:
        golden = golden_check.predict_golden(client, mar, model, version)
    except GoldenError as error:
        raise ArchiveError(f"{model} cannot be tuned: {error}") from None
    images = [ReferenceImage(image, prediction.best.label, prediction.best.probability) for image, prediction in golden]
    if files:
        images = [_alone(client, path.read_bytes(), model, version) for path in files]
    return ReferenceSet(images, golden[0][1].engine)


def _alone(client: Client, image: bytes, model: str, version: str) -> ReferenceImage:
    best = client.predict(model, image, version).best
    return ReferenceImage(image, best.label, best.probability)
