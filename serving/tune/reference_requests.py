"""What is asked, and what has to be answered: the archive's golden images, or those of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.golden import GoldenError, tolerance_of
from serving.client import Client
from serving.errors import ArchiveError
from serving.rollout import golden_check
from serving.tune.load import Question


@dataclass(frozen=True, slots=True)
class Known:
    """An image and the answer to it, alone: its most probable class."""

    image: bytes
    label: str
    probability: float

    def asked(self, path: str) -> Question:
        """It as a request to this path."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(self.image)}\r\n\r\n"
        )
        return Question(head.encode("ascii") + self.image, self.label, self.probability)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is asked; `engine` answered it, whose probabilities may be off by `tolerance` on another thread or batch."""

    images: Sequence[Known]
    engine: str

    @property
    def tolerance(self) -> float:
        """Absolute."""
        return tolerance_of(self.engine)


def learn(client: Client, mar: Path, model: str, version: str, files: Sequence[Path] = ()) -> Knowledge:
    """Ask a server for each image alone. The golden ones have to be answered as they were when the model was made.

    Args:
        mar: the archive that the golden images are in.
        files: images to ask with; none: the golden images themselves.

    Raises:
        ArchiveError: a golden answer is another one.
        ClientError: an image is not answered.
    """
    try:
        answered = golden_check.predict_golden(client, mar, model, version)
    except GoldenError as error:
        raise ArchiveError(f"{model} cannot be tuned: {error}") from None
    asked = [Known(image, answer.best.label, answer.best.probability) for image, answer in answered]
    if files:
        asked = [_alone(client, path.read_bytes(), model, version) for path in files]
    return Knowledge(asked, answered[0][1].engine)


def _alone(client: Client, image: bytes, model: str, version: str) -> Known:
    best = client.predict(model, image, version).best
    return Known(image, best.label, best.probability)
