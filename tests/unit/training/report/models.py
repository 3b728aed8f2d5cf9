"""Predictions of models of several kinds, for the sentences of a report."""

from __future__ import annotations

import torch

from handlers.decision import Reason, Uncertainty
from models.card import Calibration, UncertaintyCard
from tests.unit.training.colors import UNCERTAINTY, card
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.metrics import Figures, figures
from training.report import Report

EVIDENCE = Calibration(images=360, mistakes=40, nll_raw=0.09, nll_cross_fitted=0.07, gain_error=0.005, verdict="proven")
RULE = UNCERTAINTY.model_copy(update={"temperature": 1.0, "calibration": EVIDENCE, "refer": 0.05})


def evaluation(
    wrong: list[int],
    images: int,
    *,
    referred: tuple[int, ...] = (),
    sure: float = 0.95,
    rule: UncertaintyCard | None = RULE,
    reason: Reason = "unsure",
) -> Evaluation:
    """Predictions of two classes: `images` in all, wrong at the indices `wrong`, each with the probability `sure`."""
    labels = torch.arange(images) % 2
    predicted = labels.clone()
    predicted[wrong] = 1 - predicted[wrong]
    logits = torch.full((images, 2), sure, dtype=torch.float64)
    logits = torch.where(predicted[:, None] == torch.arange(2), logits, 1 - logits).log()
    decisions = None
    if rule is not None:
        names = [("cat", "dog")[index] for index in predicted.tolist()]
        decisions = [
            Uncertainty([name] if rule.conformal else None, -5.0, -1.5, "energy", reason if index in referred else None)
            for index, name in enumerate(names)
        ]
    return Evaluation(card(("cat", "dog"), rule), labels, logits, decisions)


def report_of(test: Evaluation, caveat: str | None = None) -> tuple[Report, Figures]:
    """Return a report on the predictions, and its figures."""
    return Report(test, Split([], []), "the test split of pets", caveat=caveat), figures(test)
