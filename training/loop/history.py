"""How a training goes: what an epoch came to, and who is told of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training split.

    Attributes:
        train_loss: mean of the recipe's loss over its batches, augmented images and all.
        calibration_loss: mean cross-entropy in nats, of images as they are served.
        learning_rate: of its last step.
        seconds: of wall time, without the measuring.
    """

    number: int
    train_loss: float
    train_accuracy: float
    calibration_loss: float
    calibration_accuracy: float
    learning_rate: float
    images_per_second: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


class Observer(Protocol):
    """Is told how a training goes."""

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None:
        """It starts: so many epochs of so many steps over so many images, of which some are done already."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Steps of an epoch are done; loss and accuracy are means over the epoch so far."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done, and its checkpoint is written."""

    def end(self) -> None:
        """The last one is."""
