"""Results of `make optimize`: figures of a release's compiled engines."""

from __future__ import annotations

from dataclasses import dataclass

from models.card import Card, Compiled
from training.compile.gate import agreement
from training.evaluate import Evaluation
from training.metrics.calibration import bins
from training.metrics.ood_detection import ood_detection
from training.metrics.prediction_sets import prediction_sets


@dataclass(frozen=True, slots=True)
class OnTest:
    """Figures of an engine on the test split, which the gate does not use; all are shares.

    Attributes:
        accuracy: top-1 accuracy.
        agreement: share of images with the same top-1 class as float32.
        calibration_error: ECE (15 bins).
        coverage: share of prediction sets with the correct class; None if the card has no `uncertainty`.
        false_positive_rate: share of these images that are detected as OOD; likewise.
    """

    accuracy: float
    agreement: float
    calibration_error: float
    coverage: float | None
    false_positive_rate: float | None


def on_test(network: Evaluation, engine: Evaluation) -> OnTest:
    """Return the figures of an engine, given its predictions and those of the eager network."""
    sets, detection = prediction_sets(engine), ood_detection(engine)
    return OnTest(
        accuracy=engine.accuracy,
        agreement=agreement(network, engine),
        calibration_error=bins(engine.probabilities, engine.labels).error,
        coverage=sets.coverage.value if sets else None,
        false_positive_rate=detection.false_positive_rate.value if detection else None,
    )


@dataclass(frozen=True, slots=True)
class Optimized:
    """Result of `make optimize`.

    Attributes:
        card: new card, with its engines in order of preference.
        data: name of the data set.
        tested: test figures of the eager network and of each admitted engine, by name.
        skipped: engines that were not tried or do not compile, each with the reason.
    """

    card: Card
    data: str
    tested: dict[str, OnTest]
    skipped: dict[str, str]

    @property
    def admitted(self) -> tuple[Compiled, ...]:
        """Engines that passed the gate, the fastest of each device first."""
        return tuple(entry for entry in self.card.engines if entry.rejection is None)

    @property
    def rejected(self) -> tuple[Compiled, ...]:
        """Engines that the gate rejected."""
        return tuple(entry for entry in self.card.engines if entry.rejection is not None)
