"""Progress of a training: a bar on the terminal, a line per epoch, and events for TensorBoard."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from training.loop.history import Epoch


class Progress:
    """Progress bar of the training, in images, with the remaining time; no bar if stderr is not a terminal."""

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None:
        """See Observer."""
        self._epochs, self._steps, self._images = epochs, steps, images
        already = epochs_done * images + self._at(steps_done)
        self._bar = tqdm(
            total=epochs * images,
            initial=already,
            unit=" images",
            unit_scale=True,
            bar_format="{desc}|{bar}| {percentage:3.0f} %, {rate_noinv_fmt}, {remaining} left",
            disable=None,
            leave=False,
        )

    def _at(self, step: int) -> int:
        return self._images * step // self._steps

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """See Observer."""
        description = f"epoch {epoch}/{self._epochs}, loss {loss:.3f}, accuracy {accuracy:.1%} "
        self._bar.set_description_str(description, refresh=False)
        self._bar.update((epoch - 1) * self._images + self._at(step) - self._bar.n)

    def epoch(self, epoch: Epoch) -> None:
        """See Observer."""
        width = len(str(self._epochs))
        tqdm.write(
            f"epoch {epoch.number:>{width}}/{self._epochs}  train loss {epoch.train_loss:.4f} accuracy "
            f"{epoch.train_accuracy:.2%}  calibration loss {epoch.calibration_loss:.4f} accuracy "
            f"{epoch.calibration_accuracy:.2%}  {epoch.images_per_second:.0f} images/s  {epoch.seconds:.1f} s"
        )
        sys.stdout.flush()  # a followed log shows the line at once

    def end(self) -> None:
        """See Observer."""
        self._bar.close()


class TensorBoard:
    """Loss and accuracy by step and by epoch, as event files in a folder for `tensorboard --logdir`.

    Raises:
        ValueError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("--tensorboard needs the package tensorboard: .venv/bin/pip install tensorboard") from None
        self._open = partial(SummaryWriter, folder)

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None:
        """See Observer."""
        self._steps = steps
        # Events after the last checkpoint of a killed training are hidden, because they are written again.
        done = epochs_done * steps + steps_done
        self._writer = self._open(purge_step=done + 1 if done else None)

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """See Observer."""
        at = (epoch - 1) * self._steps + step
        self._writer.add_scalar("step/loss", loss, at)
        self._writer.add_scalar("step/accuracy", accuracy, at)

    def epoch(self, epoch: Epoch) -> None:
        """See Observer."""
        for name, value in epoch.as_dict().items():
            if name != "number":
                split, _, what = name.partition("_")
                tag = f"{what}/{split}" if split in ("train", "calibration") else name
                self._writer.add_scalar(tag, value, epoch.number)

    def end(self) -> None:
        """See Observer."""
        self._writer.close()
