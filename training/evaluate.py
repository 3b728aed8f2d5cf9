"""Predictions of a classifier for a split, through the code that serves, and their accuracy and loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch.nn import functional
from torchmetrics.functional import classification
from tqdm import tqdm

from handlers import decision, uncertainty
from handlers.classifier import Classifier
from handlers.decision import Uncertainty
from handlers.engines import Engine, Outputs
from handlers.errors import RequestError
from handlers.modalities.image import images
from handlers.uncertainty import UncertaintyEstimator
from handlers.uncertainty.observation import observe
from models.card import Card, Input
from training.data.dataset import DataError, Dataset, Split

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions for N images of C classes; every figure of a report is derived from them.

    Attributes:
        card: of the release that predicted.
        labels: int64 (N,), indices into the card's classes.
        logits: float32 (N, C), not calibrated.
        uncertainties: prediction set, out-of-distribution score and decision of each image; None if the card has no
            `uncertainty`.
    """

    card: Card
    labels: torch.Tensor
    logits: torch.Tensor
    uncertainties: Sequence[Uncertainty] | None = None

    @classmethod
    def of(
        cls, card: Card, estimator: UncertaintyEstimator | None, outputs: Outputs, labels: Sequence[int]
    ) -> Evaluation:
        """Evaluate a network's outputs for N images as the server does."""
        ranking = decision.rank(outputs.logits, estimator.uncertainty.temperature if estimator else 1.0)
        uncertainties = decision.uncertainties(ranking, outputs, estimator, card.classes) if estimator else None
        return cls(card, torch.tensor(labels), outputs.logits.cpu(), uncertainties)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def temperature(self) -> float:
        """Divisor of the logits before softmax; 1 if the card has no `uncertainty`."""
        return self.card.uncertainty.temperature if self.card.uncertainty else 1.0

    @property
    def probabilities(self) -> torch.Tensor:
        """Probabilities as served, float64 (N, C): calibrated if the card has `uncertainty`."""
        return uncertainty.probabilities(self.logits, self.temperature)

    @property
    def answered(self) -> torch.Tensor:
        """The most probable class, int64 (N,)."""
        return self.logits.argmax(dim=1)

    @property
    def right(self) -> torch.Tensor:
        """True where the most probable class is the labeled one, bool (N,)."""
        return correct(self.logits, self.labels)

    @property
    def losses(self) -> torch.Tensor:
        """Negative log-likelihood of the labeled class in nats, float64 (N,)."""
        return losses(self.logits, self.labels, self.temperature)

    @property
    def scores(self) -> torch.Tensor | None:
        """Out-of-distribution scores, float64 (N,); None if the card has no `uncertainty`."""
        if self.uncertainties is None:
            return None
        return torch.tensor([entry.score for entry in self.uncertainties], dtype=torch.float64)

    @property
    def accuracy(self) -> float:
        """The share of images whose most probable class is the labeled one."""
        return float(self.right.double().mean())

    @property
    def loss(self) -> float:
        """The mean of `losses`."""
        return float(self.losses.mean())

    @property
    def confusion(self) -> torch.Tensor:
        """Counts, int64 (C, C): row = labeled, column = answered."""
        classes = len(self.card.classes)
        counts: torch.Tensor = classification.multiclass_confusion_matrix(self.answered, self.labels, classes)
        return counts


def correct(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return which rows of the logits (N, C) are highest at their label (N,), bool (N,)."""
    return logits.argmax(dim=1) == labels


def losses(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the negative log-likelihood of each label (N,) in nats, float64 (N,), for logits (N, C)."""
    return functional.cross_entropy(logits.double() / temperature, labels, reduction="none")


def evaluate(classifier: Classifier, split: Split) -> Evaluation:
    """Predict every image of `split`, whose labels are indices into the card's classes, as the server would.

    Raises:
        DataError: an image cannot be served (the message names it), or the split is empty.
    """
    card = classifier.card
    return Evaluation.of(card, classifier.estimator, outputs(classifier.engine, card.input, split), split.labels)


def ood_scores(classifier: Classifier, split: Split) -> torch.Tensor | None:
    """Return the out-of-distribution scores of a split, float64 (N,); its labels are not used.

    None if the card has no `uncertainty`. Raises what `evaluate` raises.
    """
    if classifier.estimator is None:
        return None
    split_outputs = outputs(classifier.engine, classifier.card.input, split)
    return torch.tensor(classifier.estimator.scores(split_outputs).values, dtype=torch.float64)


def outputs(engine: Engine, spec: Input, split: Split) -> Outputs:
    """Return an engine's outputs for all images of `split`, with pixel statistics. Raises what `evaluate` raises."""
    if not len(split):
        raise DataError("the split is empty: it has 0 images")
    return Outputs.cat(list(_chunks(engine, spec, split)))


def matched(split: Split, classes: Sequence[str], card: Card) -> Split:
    """Return `split` with labels that index the card's classes instead of `classes`.

    Raises:
        DataError: the model does not know some of the classes.
    """
    unknown = [name for name in classes if name not in card.classes]
    if unknown:
        raise DataError(
            f"the data has classes that {card.name} {card.version} does not know: {_listed(unknown)}; "
            f"it knows {_listed(card.classes)}"
        )
    indices = [card.classes.index(name) for name in classes]
    return replace(split, labels=[indices[label] for label in split.labels])


def caveat(card: Card, data: Dataset, split: str) -> str | None:
    """Return why figures on this `split` ("train", "calibration", "test") may be too good; None if they are fair."""
    release = f"{card.name} {card.version}"
    if card.data.sha256 != data.sha256:
        return f"{release} was trained on another data set or split; its training images may be among these"
    if split != "test":
        return f"{release} was fitted on the {split} split of this data set, so the figures are too good"
    return None


def _listed(names: Sequence[str], max_names: int = 20) -> str:
    more = f" and {len(names) - max_names} more" if len(names) > max_names else ""
    return ", ".join(names[:max_names]) + more


def _chunks(engine: Engine, spec: Input, split: Split) -> Iterator[Outputs]:
    """Yield the outputs chunk by chunk, decoding in threads, so that memory holds one chunk of images only."""

    def pixels(index: int) -> torch.Tensor:
        try:
            return images.pixels(images.picture(split.images[index], spec), spec)
        except RequestError as error:
            raise DataError(f"{split.name(index)}: {error}") from None

    # disable=None: no progress bar if stderr is not a terminal, so that logs stay readable.
    with (
        ThreadPoolExecutor(thread_name_prefix="decode") as threads,
        tqdm(total=len(split), desc="evaluate", unit="image", disable=None, leave=False) as bar,
    ):
        for start in range(0, len(split), CHUNK):
            rows = range(start, min(start + CHUNK, len(split)))
            yield observe(engine, images.stack(list(threads.map(pixels, rows))))
            bar.update(len(rows))
