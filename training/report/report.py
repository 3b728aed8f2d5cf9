"""What a report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.cost import Cost
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.loop.history import Epoch


@dataclass(frozen=True, slots=True)
class OodData:
    """Images of something else, to see whether they are told from the model's own.

    Attributes:
        name: of the data set they are from.
        scores: float64 (N,), as in Evaluation.
    """

    name: str
    scores: torch.Tensor


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows.

    Attributes:
        test: the answers, and the card of the release that gave them.
        pictures: the images that were answered, in the same order, labeled by indices into the card's classes.
        source: where they are from, such as "the test split of digits".
        history: epoch by epoch; empty where nothing was trained.
        recipe: what the release was trained with.
        ood_data: without it, there is no ROC of out-of-distribution scores.
        data_warnings: sentences on what is wrong with the data, or worth knowing of what was fitted on it.
    """

    test: Evaluation
    pictures: Split
    source: str
    history: Sequence[Epoch] = ()
    recipe: Mapping[str, Any] | None = None
    ood_data: OodData | None = None
    cost: Cost | None = None
    data_warnings: Sequence[str] = ()
