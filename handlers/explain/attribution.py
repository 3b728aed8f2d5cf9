"""From a question to an attribution, by any method, and the evidence that it adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import smoothgrad
from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, rows_at_once


@dataclass(frozen=True, slots=True)
class Attribution:
    """The attribution of N images.

    Attributes:
        values: signed: how much each input value adds to the number that is explained; (N, 3, H, W), or (N, 1, H, W)
            where the method tells no channels apart.
        target_logit: (N,), that number for the image.
        baseline_logit: (N,), and for the baseline; None where the method has none.
        logits: (N, classes), of the images, by the network that was explained.
        complete: whether the values should add up to target_logit - baseline_logit.
    """

    values: torch.Tensor
    target_logit: torch.Tensor
    baseline_logit: torch.Tensor | None
    logits: torch.Tensor
    complete: bool

    def heat(self, row: int) -> torch.Tensor:
        """The signed map (H, W) of one image: the attribution summed over its channels."""
        return self.values[row].sum(dim=0)

    def completeness(self, row: int) -> dict[str, Any] | None:
        """Whether the attribution of one image adds up to what the network's answer rests on; None: it need not.

        The axiom (Sundararajan et al., arXiv 1703.01365) is sum(values) = target_logit - baseline_logit. `delta` is the
        left side minus the right side. It is `ok` up to 5 % of the right side, or of 1 where that is smaller: a purely
        relative bound fails if the two logits are close.
        """
        if not self.complete or self.baseline_logit is None:
            return None
        difference = float(self.target_logit[row] - self.baseline_logit[row])
        delta = float(self.values[row].sum()) - difference
        return {"delta": round(delta, 6), "ok": abs(delta) <= 0.05 * max(abs(difference), 1.0)}


def attribute(method: Method, readout: Readout, question: Question, settings: Settings) -> Attribution:
    """Explain N images; no more rows go through the network at once than `rows_at_once` says."""
    # Whatever the caller computes under: gradients are wanted here, and captum cannot work under inference_mode.
    with torch.inference_mode(False), torch.enable_grad():
        values = torch.cat(
            [_values(method, readout, part, settings) for part in question.split(rows_at_once(question.images))]
        ).detach()
    images, baselines, weights = question.images, question.baselines, question.weights
    # Of one image and its baseline, a pass of two rows takes less than two of one.
    rows = images if baselines is None else torch.cat([images, baselines])
    logits, *beside = torch.split(_logits(readout, rows), len(images))
    target_logit = (logits * weights).sum(dim=1)
    baseline_logit = (beside[0] * weights).sum(dim=1) if beside else None
    complete = method.complete and not settings.smoothgrad_samples
    return Attribution(values, target_logit, baseline_logit, logits, complete)


def passes(method: Method, settings: Settings) -> Passes:
    """What an image costs in `attribute`: noisy copies counted, and the numbers of image and baseline."""
    forward, backward = method.passes(settings)
    copies, numbers = max(1, settings.smoothgrad_samples), 1 if settings.baseline is None else 2
    return Passes(forward * copies + numbers, backward * copies)


def _values(method: Method, readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    if settings.smoothgrad_samples:
        return smoothgrad.attribute(method, readout, question, settings)
    return method.attribute(readout, question, settings)


def _logits(readout: Readout, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([readout.network(part) for part in torch.split(images, rows_at_once(images))])
