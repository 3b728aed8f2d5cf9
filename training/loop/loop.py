"""The training loop: batch by batch, epoch by epoch, to be stopped at any time and gone on with exactly.

Nothing random outlives a step: order and augmentation follow from (seed, epoch) and (seed, epoch, step). So a training
that goes on from a checkpoint ends, on a CPU with as many threads, in the same weights to the bit as one that was never
stopped, and so does one in several processes but for the order of sums.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.card import Input
from training.loop import checkpoint, losses, optimizer
from training.loop.augment import AugmentationRng, augment, shrink
from training.loop.checkpoint import CheckpointError
from training.loop.distributed import World
from training.loop.history import Epoch, Observer
from training.loop.interruption import Interrupted, Interruption
from training.loop.loader import BatchSource, in_batches
from training.loop.measure import measure
from training.recipe import Recipe

# Between two checkpoints of a long epoch.
CHECKPOINT_SECONDS = 600.0
# Images named where a batch came to no number.
NAMED = 8


class Training:
    """A network in training.

    Args:
        network: trained in place, on `device`.
        folder: where checkpoints go, after each epoch and on the way; absent, nowhere.
        identity: what a checkpoint must have been made with to be gone on from.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: Input,
        classes: int,
        train: BatchSource,
        calibration: BatchSource,
        recipe: Recipe,
        *,
        device: torch.device | None = None,
        world: World | None = None,
        folder: Path | None = None,
        identity: str = "",
        observers: Sequence[Observer] = (),
    ) -> None:
        self.device, self.world = device or torch.device("cpu"), world or World()
        self.spec, self.train, self.calibration, self.recipe = spec, train, calibration, recipe
        self.folder, self.identity, self.observers = folder, identity, observers
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.steps = len(in_batches(torch.arange(len(train.labels)), recipe.batch_size))
        self.classes = classes
        counts = torch.bincount(train.labels.cpu(), minlength=classes).tolist()
        self.loss = losses.build(recipe.loss, counts)
        self.optimizer = optimizer.build(recipe.optimizer, self.network)
        self.scheduler = optimizer.schedule_for(self.optimizer, recipe.schedule, self.steps * recipe.epochs)
        self.mean: AveragedModel | None = None
        if recipe.ema is not None:
            average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self.mean = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        shared = self.world.share(self.network, self.device)
        self.forward = torch.compile(shared) if recipe.compile else shared
        self.history: list[Epoch] = []
        self.best: dict[str, torch.Tensor] = {}
        # Of the epoch that is under way: steps done, and loss, right answers and images summed over them.
        self.done, self.sums, self.seconds = 0, [0.0, 0.0, 0.0], 0.0
        self.rate = 0.0  # of the last step
        # Seconds by the clock and by this process's CPU: what is spent before a checkpoint, and where both stood.
        self.before, self._began = (0.0, 0.0), (time.perf_counter(), time.process_time())

    @property
    def spent(self) -> tuple[float, float]:
        """Seconds of the training by the clock and by this process's CPU, before it was gone on with and since."""
        now = time.perf_counter(), time.process_time()
        return self.before[0] + now[0] - self._began[0], self.before[1] + now[1] - self._began[1]

    def run(self) -> list[Epoch]:
        """Train to the end and leave the weights that the recipe wants in the network; returns how it went.

        Raises:
            Interrupted: by Ctrl-C or SIGTERM, after a checkpoint.
            FloatingPointError: a loss came to no number; the message names the batch.
            CheckpointError: one could not be written.
        """
        cuda = [self.device] if self.device.type == "cuda" else []
        for observer in self.observers:
            observer.begin(self.recipe.epochs, self.steps, len(self.train.labels), len(self.history), self.done)
        try:
            with torch.random.fork_rng(cuda), Interruption() as interruption:
                while len(self.history) < self.recipe.epochs and not self._stale():
                    asked = self._epoch(interruption)
                    # Kept before it is told: nobody who read that an epoch is done loses it to what comes next.
                    self.save()
                    for observer in self.observers:
                        observer.epoch(self.history[-1])
                    if asked and len(self.history) < self.recipe.epochs:
                        raise Interrupted(len(self.history), self.steps, self.steps)
        finally:
            for observer in self.observers:
                observer.end()
        self.network.load_state_dict(self.best or self._measured().state_dict())
        return self.history

    # ---- one epoch

    def _epoch(self, interruption: Interruption) -> bool:
        """Train for an epoch, or what is left of it; returns whether somebody asked to stop at its last batch."""
        number = len(self.history) + 1
        count = len(self.train.labels)
        order = torch.randperm(count, generator=_generator(self.recipe.seed, number))
        left = in_batches(order, self.recipe.batch_size)[self.done :]
        own = [rows[self.world.rows(len(rows))] for rows in left]
        self.network.train()
        began, saved = time.perf_counter() - self.seconds, time.perf_counter()
        pending: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        # A GPU is asked how it went only now and then, since each question makes it wait.
        every = 1 if self.device.type == "cpu" else 20
        asked = 0.0
        for step, (rows, canvases) in enumerate(zip(left, self.train.batches(own), strict=True), start=self.done + 1):
            loss, right = self._step(canvases, rows, number, step)
            pending.append((step, rows, loss, right))
            self.done = step
            if len(pending) < every and step < self.steps:
                continue
            fault = self._settle(pending, number)
            pending.clear()
            overdue = time.perf_counter() - saved > CHECKPOINT_SECONDS
            # What one process has seen all must do at the same batch, or they would wait for each other.
            faults, asked, due = self.world.total([bool(fault), interruption.asked, overdue], self.device)
            if faults:
                raise FloatingPointError(fault or "the loss came to no number in another process, which says where")
            if (asked or due) and step < self.steps:
                self.seconds, saved = time.perf_counter() - began, time.perf_counter()
                self.save()
                if asked:
                    raise Interrupted(number, step, self.steps)
        seconds = time.perf_counter() - began
        loss_sum, right_sum, seen = self.world.total(self.sums, self.device)
        held_loss, held_accuracy = measure(
            self._measured(), self.calibration, self.spec, self.device, self.layout, self.world
        )
        epoch = Epoch(
            number=number,
            train_loss=loss_sum / seen,
            train_accuracy=right_sum / seen,
            calibration_loss=held_loss,
            calibration_accuracy=held_accuracy,
            learning_rate=self.rate,
            images_per_second=count / seconds,
            seconds=seconds,
        )
        self._keep_best(epoch)
        self.history.append(epoch)
        self.done, self.sums, self.seconds = 0, [0.0, 0.0, 0.0], 0.0
        return bool(asked)

    def _step(
        self, canvases: torch.Tensor, rows: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seed = _generator(self.recipe.seed, epoch, step)
        torch.manual_seed(seed.initial_seed())  # for what is random within the network
        mine = self.world.rows(len(rows))
        labels = self.train.labels[rows[mine].to(self.device)]
        draws = AugmentationRng(seed, mine, len(rows))
        batch, targets = augment(canvases, labels, self.classes, self.spec, self.recipe.augmentation, draws)
        if self.recipe.progressive is not None and epoch <= self.recipe.progressive.epochs:
            batch = shrink(batch, self.recipe.progressive.size)
        batch = batch.contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            logits = self.forward(batch).float()
        loss = self.loss(logits, targets)
        objective = loss * self.world.weight(len(rows))
        if self.recipe.optimizer.l1:
            objective = objective + self.recipe.optimizer.l1 * optimizer.l1_norm(self.network)
        self.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        if self.recipe.optimizer.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.optimizer.clip)
        self.rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer.step()
        self.scheduler.step()
        if self.mean is not None:
            self.mean.update_parameters(self.network)
        right = (logits.detach().argmax(dim=1) == labels).sum()
        return loss.detach(), right

    def _settle(self, pending: Sequence[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]], epoch: int) -> str:
        """Add up what some steps came to; returns what is wrong where one came to no number."""
        for step, rows, loss, right in pending:
            value, own = loss.item(), rows[self.world.rows(len(rows))].tolist()
            if not math.isfinite(value):
                named = ", ".join(self.train.name(row) for row in own[:NAMED]) + (", ..." if len(own) > NAMED else "")
                return (
                    f"the loss is {value} at epoch {epoch}, batch {step} of {self.steps} ({named}): lower the learning "
                    f"rate, which is at most {self.recipe.optimizer.learning_rate}, or set optimizer.clip"
                )
            # Where each process has all rows of a small batch, they are counted once.
            share = self.world.weight(len(rows)) * len(rows) / self.world.size / len(own)
            for place, number in enumerate((value * len(own), float(right), len(own))):
                self.sums[place] += share * number
        for observer in self.observers:
            observer.step(epoch, self.done, self.sums[0] / self.sums[2], self.sums[1] / self.sums[2])
        return ""

    # ---- what is measured, and what is kept

    def _measured(self) -> nn.Module:
        """The network that is measured and kept: the running mean, where there is one."""
        found: nn.Module = self.network if self.mean is None else self.mean.module
        return found

    def _keep_best(self, epoch: Epoch) -> None:
        if self.recipe.early_stopping is None:
            return
        if epoch.calibration_loss < min((past.calibration_loss for past in self.history), default=float("inf")):
            self.best = {name: value.clone() for name, value in self._measured().state_dict().items()}

    def _stale(self) -> bool:
        """Whether it is time to stop early."""
        if self.recipe.early_stopping is None or not self.history:
            return False
        best = min(self.history, key=lambda epoch: epoch.calibration_loss).number
        return len(self.history) - best >= self.recipe.early_stopping.patience

    # ---- checkpoints

    def save(self) -> None:
        """Write where the training stands. Of several processes all must call it, and the first one writes."""
        sums = self.world.total(self.sums, self.device)
        if self.folder is None or not self.world.first:
            return
        tensors, rest = checkpoint.pack("network", self.network.state_dict())
        parts: dict[str, Any] = {"optimizer": self.optimizer.state_dict()["state"], "best": self.best}
        if self.mean is not None:
            parts["mean"] = self.mean.state_dict()
        for name, state in parts.items():
            inner, others = checkpoint.pack(name, state)
            tensors |= inner
            rest |= others
        document = {
            "identity": self.identity,
            "recipe": self.recipe.model_dump(mode="json"),
            "history": [epoch.as_dict() for epoch in self.history],
            "epoch": {"done": self.done, "sums": sums, "seconds": self.seconds},
            "spent": self.spent,
            "rest": rest,
        }
        checkpoint.write(self.folder, tensors, document)

    def resume(self) -> None:
        """Take up where the checkpoint in `folder` stands.

        Raises:
            CheckpointError: there is none, or it was made with other data, another recipe or another network.
        """
        assert self.folder is not None, "a training without a folder has no checkpoint"
        tensors, document = checkpoint.read(self.folder)
        checkpoint.check(self.folder, document, self.recipe.model_dump(mode="json"), self.identity)
        rest = document["rest"]
        try:
            self.network.load_state_dict(checkpoint.unpack("network", tensors, {}))
            if self.mean is not None:
                self.mean.load_state_dict(checkpoint.unpack("mean", tensors, {}))
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{self.folder}: its checkpoint is of another network: {first}") from None
        state = self.optimizer.state_dict()
        state["state"] = checkpoint.unpack("optimizer", tensors, rest)
        self.optimizer.load_state_dict(state)
        self.best = checkpoint.unpack("best", tensors, {})
        self.history = [Epoch(**epoch) for epoch in document["history"]]
        now = document["epoch"]
        self.done, self.seconds = now["done"], now["seconds"]
        self.sums = now["sums"] if self.world.first else [0.0, 0.0, 0.0]
        self.before = tuple(document["spent"])
        taken = len(self.history) * self.steps + self.done
        self.scheduler = optimizer.schedule_for(
            self.optimizer, self.recipe.schedule, self.steps * self.recipe.epochs, taken
        )


def _generator(*numbers: int) -> torch.Generator:
    """Random numbers that depend on these alone."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
