"""Figures of a model on its battery: what it accepts, and what it is right about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tqdm import tqdm

from handlers.classifier import Classifier
from handlers.engines import MAX_ROWS, Outputs
from handlers.uncertainty.observation import observe
from training.battery import COUNT, BatterySet, battery_sets, network_input, sample
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.metrics.interval import Share, share

# The first set: the user's images as they are.
UNCHANGED = "unchanged"
# Image of a foreign set that stands for it on the page. The first ones may be black or white.
EXAMPLE = 5


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Figures of one set.

    Attributes:
        name: name for files, such as `tinted_orange`.
        title: name for people, such as "tinted orange".
        images: number of images.
        accepted: share of the predictions that are accepted; None if the card has no `uncertainty`.
        right_accepted: share of the accepted predictions that are right; None without labels or accepted predictions.
        accepted_wrong: share of all predictions that are accepted and wrong; None as `accepted`. Of foreign images no
            prediction is right.
        accuracy: share of all predictions that are right; None without labels.
        lost: number of images that are predicted correctly as they are, and wrongly in this set; None without labels.
        gained: number of images of which the opposite is true.
        reasons: number of referred predictions for each reason.
        reason_details: number of out-of-distribution images for each detail, such as `colors`.
    """

    name: str
    title: str
    images: int
    accepted: Share | None
    right_accepted: Share | None
    accepted_wrong: Share | None
    accuracy: Share | None
    lost: int | None
    gained: int | None
    reasons: dict[str, int]
    reason_details: dict[str, int]

    @property
    def is_foreign(self) -> bool:
        """True if the images show none of the classes."""
        return self.accuracy is None

    def causes(self) -> list[tuple[str, int]]:
        """Return why predictions are referred, most frequent first: details of OOD images, and other reasons."""
        causes = Counter(self.reason_details)
        causes.update({reason: count for reason, count in self.reasons.items() if reason != "out_of_distribution"})
        return causes.most_common()


@dataclass(frozen=True, slots=True)
class Battery:
    """Figures of all sets, and an example of each.

    Attributes:
        sets: the unchanged images first, then changed and foreign ones.
        examples: one image of each set in the same order, uint8 (3, S, S).
    """

    sets: tuple[SetFigures, ...]
    examples: tuple[torch.Tensor, ...]

    @property
    def unchanged(self) -> SetFigures:
        """The figures of the user's images as they are."""
        return self.sets[0]

    @property
    def conditions(self) -> tuple[SetFigures, ...]:
        """The figures of changed and foreign images."""
        return self.sets[1:]


def measure_battery(
    classifier: Classifier, split: Split, ood_data: tuple[str, Split] | None = None, *, count: int = COUNT
) -> Battery:
    """Predict the battery of a split's images as the server would, with a progress bar.

    Args:
        split: the user's images; labels are indices into the card's classes.
        ood_data: name and images of the user's out-of-distribution data, which become one more set.
        count: the largest number of images in a set.

    Raises:
        RequestError: an image cannot be decoded; `evaluate` names such an image.
    """
    figures: list[SetFigures] = []
    examples: list[torch.Tensor] = []
    unchanged: torch.Tensor | None = None
    shown = 0
    # disable=None: no progress bar if stderr is not a terminal, so that logs stay readable.
    with tqdm(desc="battery", unit="set", disable=None, leave=False) as bar:
        for entry in _sets(classifier, split, ood_data, count):
            predicted = _predicted(classifier, entry)
            unchanged = predicted.right if unchanged is None else unchanged
            figures.append(_figures(entry, predicted, unchanged))
            if not examples:
                shown = _least_symmetric(entry.pixels)
            examples.append(entry.pixels[shown if entry.labels is not None else min(EXAMPLE, len(entry.pixels) - 1)])
            bar.update()
    return Battery(tuple(figures), tuple(examples))


def _sets(classifier: Classifier, split: Split, ood_data: tuple[str, Split] | None, count: int) -> Iterator[BatterySet]:
    spec, labels = classifier.card.input, torch.tensor(split.labels)
    chosen = sample(labels, count)
    pixels, labels = network_input([split.images[index] for index in chosen.tolist()], spec), labels[chosen]
    yield BatterySet(UNCHANGED, UNCHANGED, pixels, labels)
    yield from battery_sets(pixels, labels, spec, classifier.card.data.name, count=count)
    if ood_data is not None:
        name, other = ood_data
        indices = sample(torch.zeros(len(other), dtype=torch.long), count).tolist()
        yield BatterySet("ood_data", name, network_input([other.images[index] for index in indices], spec), None)


def _least_symmetric(pixels: torch.Tensor) -> int:
    """Return the index of the image that a mirror changes most: as an example it shows what each change does."""
    differences = (pixels.float() - pixels.flip(-1).float()).abs().mean(dim=(1, 2, 3))
    return int(differences.argmax())


def _predicted(classifier: Classifier, entry: BatterySet) -> Evaluation:
    labels = torch.zeros(len(entry.pixels), dtype=torch.long) if entry.labels is None else entry.labels
    chunks = [observe(classifier.engine, pixels) for pixels in torch.split(entry.pixels, MAX_ROWS)]
    return Evaluation.of(classifier.card, classifier.estimator, Outputs.cat(chunks), labels.tolist())


def _figures(entry: BatterySet, predicted: Evaluation, unchanged: torch.Tensor) -> SetFigures:
    total = len(predicted)
    is_foreign = entry.labels is None
    right = torch.zeros(total, dtype=torch.bool) if is_foreign else predicted.right
    uncertainties = predicted.uncertainties or ()
    accepted = torch.tensor([estimate.reason is None for estimate in uncertainties], dtype=torch.bool)
    accepted_count = int(accepted.sum())
    is_judged = bool(uncertainties)
    return SetFigures(
        name=entry.name,
        title=entry.title,
        images=total,
        accepted=share(accepted_count, total) if is_judged else None,
        right_accepted=(
            share(int((right & accepted).sum()), accepted_count) if accepted_count and not is_foreign else None
        ),
        accepted_wrong=share(int((accepted & ~right).sum()), total) if is_judged else None,
        accuracy=None if is_foreign else share(int(right.sum()), total),
        lost=None if is_foreign else int((unchanged & ~right).sum()),
        gained=None if is_foreign else int((right & ~unchanged).sum()),
        reasons=dict(Counter(estimate.reason for estimate in uncertainties if estimate.reason)),
        reason_details=dict(Counter(estimate.reason_detail for estimate in uncertainties if estimate.reason_detail)),
    )
