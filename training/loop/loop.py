"""The training loop, which can be stopped at any time and resumed exactly.

The order of images follows from (seed, epoch), and augmentation from (seed, epoch, step). So a resumed training ends
with the same weights, bit for bit, on a CPU with the same number of threads. Training in several processes gives the
same result except for rounding, because sums have another order.
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
from training.loop import checkpoint, data_record, losses, optimizer
from training.loop.augment import AugmentationRng, augment, shrink
from training.loop.checkpoint import CheckpointError
from training.loop.history import Epoch
from training.loop.interruption import Interrupted, Interruption
from training.loop.job import TrainingJob
from training.loop.loader import BatchSource, in_batches
from training.loop.measure import measure

# Time between two checkpoints during a long epoch.
CHECKPOINT_SECONDS = 600.0
# Images that the error about a loss of NaN or infinity names.
NAMED = 8


class Training:
    """A network in training.

    Args:
        network: trained in place, on the job's device.
        spec: input of the network, with mean and standard deviation of the training images.
        folder: where checkpoints go, after each epoch and during long ones; None: no checkpoints.
    """

    def __init__(
        self,
        job: TrainingJob,
        network: nn.Module,
        spec: Input,
        train: BatchSource,
        calibration: BatchSource,
        folder: Path | None = None,
    ) -> None:
        self.recipe, self.device, self.world, self.observers = job.recipe, job.device, job.world, job.observers
        self.spec, self.train, self.calibration = spec, train, calibration
        # A checkpoint can be resumed with the same data only.
        self.folder, self.identity = folder, data_record.identity(job.dataset)
        recipe, self.classes = job.recipe, len(job.dataset.classes)
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.steps = len(in_batches(torch.arange(len(train.labels)), recipe.batch_size))
        counts = torch.bincount(train.labels.cpu(), minlength=self.classes).tolist()
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
        # Progress of the current epoch: steps done, and the sums of loss, correct answers and images.
        self.done, self.sums, self.seconds = 0, [0.0, 0.0, 0.0], 0.0
        self.rate = 0.0  # learning rate of the last step
        # Wall-clock and CPU seconds: those spent before the checkpoint, and the readings at the start.
        self.before, self._start = (0.0, 0.0), (time.perf_counter(), time.process_time())

    @property
    def spent(self) -> tuple[float, float]:
        """Wall-clock and CPU seconds of the training, including those before it was resumed."""
        now = time.perf_counter(), time.process_time()
        return self.before[0] + now[0] - self._start[0], self.before[1] + now[1] - self._start[1]

    def run(self) -> list[Epoch]:
        """Train to the end, leave the final weights in the network, and return the history.

        Raises:
            Interrupted: Ctrl-C or SIGTERM stopped the training, after a checkpoint.
            FloatingPointError: a loss is NaN or infinite; the message names the batch.
            CheckpointError: a checkpoint could not be written.
        """
        cuda = [self.device] if self.device.type == "cuda" else []
        for observer in self.observers:
            observer.begin(self.recipe.epochs, self.steps, len(self.train.labels), len(self.history), self.done)
        try:
            with torch.random.fork_rng(cuda), Interruption() as interruption:
                while len(self.history) < self.recipe.epochs and not self._stale():
                    stop_requested = self._epoch(interruption)
                    # Saved before observers are called: an epoch that was reported as done is never lost.
                    self.save()
                    for observer in self.observers:
                        observer.epoch(self.history[-1])
                    if stop_requested and len(self.history) < self.recipe.epochs:
                        raise Interrupted(len(self.history), self.steps, self.steps)
        finally:
            for observer in self.observers:
                observer.end()
        self.network.load_state_dict(self.best or self._measured().state_dict())
        return self.history

    # ---- one epoch

    def _epoch(self, interruption: Interruption) -> bool:
        """Train for the remaining steps of an epoch; return True if a stop was requested at its last batch."""
        number = len(self.history) + 1
        count = len(self.train.labels)
        order = torch.randperm(count, generator=_generator(self.recipe.seed, number))
        remaining = in_batches(order, self.recipe.batch_size)[self.done :]
        own = [rows[self.world.rows(len(rows))] for rows in remaining]
        self.network.train()
        start, saved = time.perf_counter() - self.seconds, time.perf_counter()
        pending: list[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        # Reading a result makes a GPU wait, so its results are read every 20 steps only.
        every = 1 if self.device.type == "cpu" else 20
        stop_requested = 0.0
        for step, (rows, uncropped) in enumerate(
            zip(remaining, self.train.batches(own), strict=True), start=self.done + 1
        ):
            loss, right = self._step(uncropped, rows, number, step)
            pending.append((step, rows, loss, right))
            self.done = step
            if len(pending) < every and step < self.steps:
                continue
            fault = self._accumulate(pending, number)
            pending.clear()
            overdue = time.perf_counter() - saved > CHECKPOINT_SECONDS
            # All processes must stop at the same batch, or they would wait for each other.
            faults, stop_requested, due = self.world.total([bool(fault), interruption.requested, overdue], self.device)
            if faults:
                raise FloatingPointError(
                    fault or "the loss is NaN or infinite in another process, which names the batch"
                )
            if (stop_requested or due) and step < self.steps:
                self.seconds, saved = time.perf_counter() - start, time.perf_counter()
                self.save()
                if stop_requested:
                    raise Interrupted(number, step, self.steps)
        seconds = time.perf_counter() - start
        loss_sum, right_sum, seen = self.world.total(self.sums, self.device)
        calibration_loss, calibration_accuracy = measure(
            self._measured(), self.calibration, self.spec, self.device, self.layout, self.world
        )
        epoch = Epoch(
            number=number,
            train_loss=loss_sum / seen,
            train_accuracy=right_sum / seen,
            calibration_loss=calibration_loss,
            calibration_accuracy=calibration_accuracy,
            learning_rate=self.rate,
            images_per_second=count / seconds,
            seconds=seconds,
        )
        self._keep_best(epoch)
        self.history.append(epoch)
        self.done, self.sums, self.seconds = 0, [0.0, 0.0, 0.0], 0.0
        return bool(stop_requested)

    def _step(
        self, uncropped: torch.Tensor, rows: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seed = _generator(self.recipe.seed, epoch, step)
        torch.manual_seed(seed.initial_seed())  # for random layers of the network, such as dropout
        mine = self.world.rows(len(rows))
        labels = self.train.labels[rows[mine].to(self.device)]
        rng = AugmentationRng(seed, mine, len(rows))
        batch, targets = augment(uncropped, labels, self.classes, self.spec, self.recipe.augmentation, rng)
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

    def _accumulate(self, pending: Sequence[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]], epoch: int) -> str:
        """Add the results of some steps to the sums; return an error message if a loss is NaN or infinite."""
        for step, rows, loss, right in pending:
            value, own = loss.item(), rows[self.world.rows(len(rows))].tolist()
            if not math.isfinite(value):
                named = ", ".join(self.train.name(row) for row in own[:NAMED]) + (", ..." if len(own) > NAMED else "")
                return (
                    f"the loss is {value} at epoch {epoch}, batch {step} of {self.steps} ({named}): lower the learning "
                    f"rate, which is at most {self.recipe.optimizer.learning_rate}, or set optimizer.clip"
                )
            # If each process has all rows of a small batch, they are counted once.
            share = self.world.weight(len(rows)) * len(rows) / self.world.size / len(own)
            for index, amount in enumerate((value * len(own), float(right), len(own))):
                self.sums[index] += share * amount
        for observer in self.observers:
            observer.step(epoch, self.done, self.sums[0] / self.sums[2], self.sums[1] / self.sums[2])
        return ""

    # ---- measured weights and early stopping

    def _measured(self) -> nn.Module:
        """Return the network that is measured and saved: the running mean of the weights if the recipe asks for it."""
        network: nn.Module = self.network if self.mean is None else self.mean.module
        return network

    def _keep_best(self, epoch: Epoch) -> None:
        if self.recipe.early_stopping is None:
            return
        if epoch.calibration_loss < min((past.calibration_loss for past in self.history), default=float("inf")):
            self.best = {name: value.clone() for name, value in self._measured().state_dict().items()}

    def _stale(self) -> bool:
        """Return True if training should stop early."""
        if self.recipe.early_stopping is None or not self.history:
            return False
        best = min(self.history, key=lambda epoch: epoch.calibration_loss).number
        return len(self.history) - best >= self.recipe.early_stopping.patience

    # ---- checkpoints

    def save(self) -> None:
        """Write a checkpoint. All processes must call this; the first one writes."""
        sums = self.world.total(self.sums, self.device)
        if self.folder is None or not self.world.first:
            return
        tensors, values = checkpoint.pack("network", self.network.state_dict())
        parts: dict[str, Any] = {"optimizer": self.optimizer.state_dict()["state"], "best": self.best}
        if self.mean is not None:
            parts["mean"] = self.mean.state_dict()
        for name, state in parts.items():
            more_tensors, more_values = checkpoint.pack(name, state)
            tensors |= more_tensors
            values |= more_values
        document = {
            "identity": self.identity,
            "recipe": self.recipe.model_dump(mode="json"),
            "history": [epoch.as_dict() for epoch in self.history],
            "epoch": {"done": self.done, "sums": sums, "seconds": self.seconds},
            "spent": self.spent,
            "values": values,
        }
        checkpoint.write(self.folder, tensors, document)

    def resume(self) -> None:
        """Restore the state of the checkpoint in `folder`.

        Raises:
            CheckpointError: there is no checkpoint, or its data, recipe or network differ.
        """
        assert self.folder is not None, "a training without a folder has no checkpoint"
        tensors, document = checkpoint.read(self.folder)
        checkpoint.check(self.folder, document, self.recipe.model_dump(mode="json"), self.identity)
        values = document["values"]
        try:
            self.network.load_state_dict(checkpoint.unpack("network", tensors, {}))
            if self.mean is not None:
                self.mean.load_state_dict(checkpoint.unpack("mean", tensors, {}))
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{self.folder}: its checkpoint is of another network: {first}") from None
        state = self.optimizer.state_dict()
        state["state"] = checkpoint.unpack("optimizer", tensors, values)
        self.optimizer.load_state_dict(state)
        self.best = checkpoint.unpack("best", tensors, {})
        self.history = [Epoch(**epoch) for epoch in document["history"]]
        epoch_state = document["epoch"]
        self.done, self.seconds = epoch_state["done"], epoch_state["seconds"]
        self.sums = epoch_state["sums"] if self.world.first else [0.0, 0.0, 0.0]
        self.before = tuple(document["spent"])
        steps_done = len(self.history) * self.steps + self.done
        self.scheduler = optimizer.schedule_for(
            self.optimizer, self.recipe.schedule, self.steps * self.recipe.epochs, steps_done
        )


def _generator(*numbers: int) -> torch.Generator:
    """Return a generator whose numbers depend on these numbers only."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
