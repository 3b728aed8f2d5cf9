"""The training loop of the article: cross-entropy, stochastic gradient descent with momentum."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from handlers import images
from models.card import Input


@dataclass(frozen=True, slots=True)
class Settings:
    """What the loop is run with. Defaults suit `digits`."""

    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 0.02
    momentum: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be 1 or more")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: it must be at least 0 and below 1")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images in memory: uint8 pixels (N, 3, size, size) and int64 labels (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training split came to; loss is mean cross-entropy in nats, accuracy a share."""

    train_loss: float
    train_accuracy: float
    calibration_loss: float
    calibration_accuracy: float
    seconds: float


def fit(network: nn.Module, spec: Input, train: Labelled, calibration: Labelled, settings: Settings) -> list[Epoch]:
    """Train `network` in place and return how it went, epoch by epoch.

    With the same settings, thread count and torch build the weights come out bit-identical on a CPU.

    Raises:
        FloatingPointError: the loss became infinite or not a number.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
    inputs = images.normalise(train.pixels, spec)
    history = []
    for number in range(1, settings.epochs + 1):
        started = time.perf_counter()
        network.train()
        total, right = 0.0, 0
        order = torch.split(torch.randperm(len(train.labels), generator=generator), settings.batch_size)
        # disable=None: no bar where stderr is no terminal, so logs stay readable.
        with tqdm(order, desc=f"epoch {number:>2}/{settings.epochs}", unit="batch", disable=None, leave=False) as bar:
            for step, rows in enumerate(bar, start=1):
                logits = network(inputs[rows])
                loss = functional.cross_entropy(logits, train.labels[rows])
                value = loss.item()
                if not value < float("inf"):
                    raise FloatingPointError(
                        f"the loss is {value} at epoch {number}, batch {step}: lower the learning rate, which is "
                        f"{settings.learning_rate}"
                    )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                total += value * len(rows)
                right += int((logits.argmax(dim=1) == train.labels[rows]).sum())
                bar.set_postfix(loss=f"{value:.3f}", refresh=False)
        held_loss, held_accuracy = _measure(network, spec, calibration)
        count = len(train.labels)
        epoch = Epoch(total / count, right / count, held_loss, held_accuracy, time.perf_counter() - started)
        history.append(epoch)
        tqdm.write(
            f"epoch {number:>2}/{settings.epochs}  train loss {epoch.train_loss:.4f} accuracy "
            f"{epoch.train_accuracy:.2%}  calibration loss {held_loss:.4f} accuracy {held_accuracy:.2%}  "
            f"{epoch.seconds:.1f} s"
        )
    return history


def _measure(network: nn.Module, spec: Input, split: Labelled) -> tuple[float, float]:
    network.eval()
    with torch.inference_mode():
        logits = network(images.normalise(split.pixels, spec))
        loss = functional.cross_entropy(logits, split.labels).item()
        return loss, float((logits.argmax(dim=1) == split.labels).float().mean())
