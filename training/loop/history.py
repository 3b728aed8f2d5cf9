"""Results of epochs, and observers of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training split.

    Attributes:
        train_loss: mean of the recipe's loss, on augmented images.
        calibration_loss: mean cross-entropy in nats, on images as served.
        learning_rate: learning rate of the last step.
        seconds: wall-clock time without the measurement on the calibration split.
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
        """Return the values for JSON."""
        return asdict(self)


class Observer(Protocol):
    """Receiver of a training's progress."""

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None:
        """Handle the start. `steps` and `images` are per epoch; a resumed training has some epochs and steps done."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Handle finished steps; loss and accuracy are means over the epoch so far."""

    def epoch(self, epoch: Epoch) -> None:
        """Handle a finished epoch, whose checkpoint is written."""

    def end(self) -> None:
        """Handle the end of the training."""
