"""Input of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.cost import Cost
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.loop.history import Epoch
from training.metrics.battery import Battery
from training.metrics.ood_detection import OodData


@dataclass(frozen=True, slots=True)
class Report:
    """Values that a report shows.

    Attributes:
        test: predictions, with the card of the release.
        pictures: the predicted images in the same order; labels are indices into the card's classes.
        source: origin of the images, such as "the test split of digits".
        history: results of all epochs; empty if nothing was trained.
        recipe: recipe of the release.
        ood_data: out-of-distribution images. Without them, the report has no ROC of OOD scores.
        caveat: sentence on why these figures may be too good, such as a split that the model was fitted on; None if
            they are fair.
        battery: figures for changed and foreign images; None: the report has none.
        data_warnings: problems of the data and remarks about the fitted uncertainty, one sentence each.
    """

    test: Evaluation
    pictures: Split
    source: str
    history: Sequence[Epoch] = ()
    recipe: Mapping[str, Any] | None = None
    ood_data: OodData | None = None
    cost: Cost | None = None
    caveat: str | None = None
    battery: Battery | None = None
    data_warnings: Sequence[str] = ()
