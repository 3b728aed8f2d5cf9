"""What a classifier answers to a split, through the code that serves, and how good that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch.nn import functional
from torchmetrics.functional import classification
from tqdm import tqdm

from handlers import decision, uncertainty
from handlers.decision import Uncertainty
from handlers.engines import Outputs
from handlers.errors import RequestError
from handlers.modalities.image import images
from handlers.pipeline import Classifier
from handlers.uncertainty import UncertaintyEstimator
from models.card import Card
from training.data.dataset import DataError, Dataset, Split

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answers to N images of C classes; every figure of a report is derived from them.

    Attributes:
        card: of the release that answered.
        labels: int64 (N,), indices into the card's classes.
        logits: float32 (N, C), as the network gave them.
        uncertainties: of each image its set, its out-of-distribution score and the decision; None where the card has no
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
        """UncertaintyEstimator what the network made of N images as the server does."""
        ranking = decision.rank(outputs.logits, estimator.uncertainty.temperature if estimator else 1.0)
        judged = decision.uncertainties(ranking, outputs, estimator, card.classes) if estimator else None
        return cls(card, torch.tensor(labels), outputs.logits.cpu(), judged)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def temperature(self) -> float:
        """What logits are divided by before softmax; 1 where the card has no `uncertainty`."""
        return self.card.uncertainty.temperature if self.card.uncertainty else 1.0

    @property
    def probabilities(self) -> torch.Tensor:
        """As they are served, float64 (N, C): calibrated where the card has `uncertainty`."""
        return uncertainty.probabilities(self.logits, self.temperature)

    @property
    def answered(self) -> torch.Tensor:
        """The most probable class, int64 (N,)."""
        return self.logits.argmax(dim=1)

    @property
    def right(self) -> torch.Tensor:
        """Whether that is the labeled one, bool (N,)."""
        return self.answered == self.labels

    @property
    def losses(self) -> torch.Tensor:
        """The negative log of the served probability of the labeled class in nats, float64 (N,)."""
        return functional.cross_entropy(self.logits.double() / self.temperature, self.labels, reduction="none")

    @property
    def scores(self) -> torch.Tensor | None:
        """How unlike the training images each is, float64 (N,); None where the card has no `uncertainty`."""
        if self.uncertainties is None:
            return None
        return torch.tensor([one.score for one in self.uncertainties], dtype=torch.float64)

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


def evaluate(classifier: Classifier, split: Split) -> Evaluation:
    """Answer every image of `split`, whose labels are indices into the card's classes, as the server would.

    Raises:
        DataError: an image cannot be served, which the message names, or there is none.
    """
    return Evaluation.of(classifier.card, classifier.estimator, outputs(classifier, split), split.labels)


def ood_scores(classifier: Classifier, split: Split) -> torch.Tensor | None:
    """The out-of-distribution scores of a split, float64 (N,), higher is stranger; its labels do not matter.

    None where the card has no `uncertainty`. Raises what `evaluate` raises.
    """
    if classifier.estimator is None:
        return None
    return torch.tensor(classifier.estimator.scores(outputs(classifier, split)), dtype=torch.float64)


def outputs(classifier: Classifier, split: Split) -> Outputs:
    """What the network makes of all images of `split`, on its device; with what `evaluate` raises."""
    if not len(split):
        raise DataError("there is no image to answer: the split is empty")
    chunks = list(_chunks(classifier, split))
    return Outputs(torch.cat([chunk.logits for chunk in chunks]), torch.cat([chunk.embeddings for chunk in chunks]))


def matched(split: Split, theirs: Sequence[str], card: Card) -> Split:
    """`split`, whose labels are indices into the classes `theirs`, with indices into the card's classes instead.

    Raises:
        DataError: some of its classes are unknown to the model.
    """
    unknown = [name for name in theirs if name not in card.classes]
    if unknown:
        raise DataError(
            f"the data has classes that {card.name} {card.version} does not know: {_listed(unknown)}; "
            f"it knows {_listed(card.classes)}"
        )
    places = [card.classes.index(name) for name in theirs]
    return replace(split, labels=[places[label] for label in split.labels])


def caveat(card: Card, data: Dataset, split: str) -> str | None:
    """Why the figures on the `split` ("train", "calibration", "test") of `data` may flatter a release; None if not."""
    release = f"{card.name} {card.version}"
    if card.data.sha256 != data.sha256:
        return f"{release} was trained on another data set or split; its training images may be among these"
    if split != "test":
        return f"{release} was fitted on the {split} split of this data set, so the figures flatter it"
    return None


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _chunks(classifier: Classifier, split: Split) -> Iterator[Outputs]:
    """Decoded in threads, one chunk after the other, so that not all images need be in memory."""
    spec = classifier.card.input

    def pixels(index: int) -> torch.Tensor:
        try:
            return images.pixels(images.picture(split.images[index], spec), spec)
        except RequestError as error:
            raise DataError(f"{split.name(index)}: {error}") from None

    # disable=None: no bar where stderr is no terminal, so logs stay readable.
    with (
        ThreadPoolExecutor(thread_name_prefix="decode") as threads,
        tqdm(total=len(split), desc="evaluate", unit="image", disable=None, leave=False) as bar,
    ):
        for start in range(0, len(split), CHUNK):
            rows = range(start, min(start + CHUNK, len(split)))
            yield classifier.engine.outputs(images.stack(list(threads.map(pixels, rows))))
            bar.update(len(rows))
