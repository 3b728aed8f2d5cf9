"""What `make optimize` found out about a release's programs."""

from __future__ import annotations

from dataclasses import dataclass

from models.card import Card, Compiled
from training.compile.gate import agreement
from training.evaluate import Evaluation
from training.report.figures import figures


@dataclass(frozen=True, slots=True)
class OnTest:
    """How an engine does on the test split, which decides nothing; all are shares.

    Attributes:
        accuracy: top-1.
        agreement: how often it names the class that float32 does.
        calibration_error: of its probabilities (ECE, 15 bins).
        coverage: how often its set holds the right class; None where the card has no `uncertainty`.
        false_positive_rate: how often it calls these images strange; likewise.
    """

    accuracy: float
    agreement: float
    calibration_error: float
    coverage: float | None
    false_positive_rate: float | None


def on_test(network: Evaluation, engine: Evaluation) -> OnTest:
    """From the answers of the eager network and of an engine to the test split."""
    found = figures(engine)
    return OnTest(
        accuracy=found.accuracy,
        agreement=agreement(network, engine),
        calibration_error=found.after.ece,
        coverage=found.prediction_sets.coverage.value if found.prediction_sets else None,
        false_positive_rate=found.ood_detection.false_positive_rate.value if found.ood_detection else None,
    )


@dataclass(frozen=True, slots=True)
class Optimized:
    """The outcome.

    Attributes:
        card: with its engines in their order.
        data: the name of the data set that was measured on.
        tested: of the eager network and of each engine that is let in, by name.
        left: what was not tried or does not compile, and why.
    """

    card: Card
    data: str
    tested: dict[str, OnTest]
    left: dict[str, str]

    @property
    def admitted(self) -> tuple[Compiled, ...]:
        """Those that may answer, of each device the fastest first."""
        return tuple(entry for entry in self.card.engines if entry.rejection is None)

    @property
    def rejected(self) -> tuple[Compiled, ...]:
        """The others."""
        return tuple(entry for entry in self.card.engines if entry.rejection is not None)
