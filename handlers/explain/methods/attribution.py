"""Attribution of a batch of images by any method, and its completeness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import smoothgrad
from handlers.explain.methods.baselines import NAMES
from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore
from handlers.explain.methods.row_limit import rows_at_once

# If the absolute values of a map sum to a smaller share of the score, or of 1 if that is larger, they are noise.
MIN_EVIDENCE = 0.01


@dataclass(frozen=True, slots=True)
class Attribution:
    """The attribution of N images.

    Attributes:
        values: signed: how much each input value adds to the score; (N, 3, H, W), or (N, 1, H, W) if the method does
            not separate channels.
        target_logit: scores of the images, (N,).
        baseline_logit: scores of the baselines, (N,), or their mean over the training images that the method compares
            with; None if the method has no baseline.
        logits: logits of the images by the explained network, (N, classes).
        complete: whether the values should sum to target_logit - baseline_logit.
    """

    values: torch.Tensor
    target_logit: torch.Tensor
    baseline_logit: torch.Tensor | None
    logits: torch.Tensor
    complete: bool

    def heat(self, row: int) -> torch.Tensor:
        """Return the signed map (H, W) of one image: the attribution summed over the channels."""
        return self.values[row].sum(dim=0)

    def total(self, row: int) -> float:
        """Return the sum of the absolute values of one image."""
        return float(self.values[row].abs().sum())

    def has_evidence(self, row: int) -> bool:
        """Return whether the values of one image are more than noise, see MIN_EVIDENCE."""
        return not self.total(row) < MIN_EVIDENCE * max(1.0, abs(float(self.target_logit[row])))

    def visible_heat(self, row: int) -> torch.Tensor:
        """Return the map (H, W) to show: zeros if there is no evidence, since any color would enlarge noise."""
        heat = self.heat(row)
        return heat if self.has_evidence(row) else torch.zeros_like(heat)

    def completeness(self, row: int) -> dict[str, Any] | None:
        """Check that the attribution of one image is complete; None if the method does not promise it.

        The axiom (Sundararajan et al., arXiv 1703.01365) is sum(values) = target_logit - baseline_logit. `delta` is the
        left side minus the right side. It is `ok` up to 5 % of the right side, or of 1 if that is larger: a purely
        relative bound fails if the two logits are close.
        """
        if not self.complete or self.baseline_logit is None:
            return None
        difference = float(self.target_logit[row] - self.baseline_logit[row])
        delta = float(self.values[row].sum()) - difference
        return {"delta": round(delta, 6), "ok": abs(delta) <= 0.05 * max(abs(difference), 1.0)}


def attribute(
    method: Method, target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings
) -> Attribution:
    """Explain N images, at most `rows_at_once` rows in one pass."""
    # The caller may use inference_mode. Captum needs gradients, and cannot work under inference_mode.
    with torch.inference_mode(False), torch.enable_grad():
        values = torch.cat(
            [_values(method, target_score, chunk, settings) for chunk in inputs.split(rows_at_once(inputs.images))]
        ).detach()
    images, baselines, weights = inputs.images, inputs.baselines, inputs.weights
    # One pass of two rows is faster than two passes of one row.
    rows = images if baselines is None else torch.cat([images, baselines])
    logits, *baseline_logits = torch.split(_logits(target_score, rows), len(images))
    target_logit = (logits * weights).sum(dim=1)
    if inputs.background is not None:
        baseline_logits = [inputs.background.logits.mean(dim=0, keepdim=True)]
    baseline_logit = (baseline_logits[0] * weights).sum(dim=1) if baseline_logits else None
    complete = method.complete and not settings.smoothgrad_samples
    return Attribution(values, target_logit, baseline_logit, logits, complete)


def passes(method: Method, settings: MethodSettings) -> Passes:
    """Return the cost of `attribute` for one image, with noisy copies and the scores of image and baseline."""
    forward, backward = method.passes(settings)
    # The scores of training images are computed once, when they are read.
    copies, scores = max(1, settings.smoothgrad_samples), 2 if settings.baseline in NAMES else 1
    return Passes(forward * copies + scores, backward * copies)


def _values(
    method: Method, target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings
) -> torch.Tensor:
    if settings.smoothgrad_samples:
        return smoothgrad.attribute(method, target_score, inputs, settings)
    return method.attribute(target_score, inputs, settings)


def _logits(target_score: TargetScore, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([target_score.network(chunk) for chunk in torch.split(images, rows_at_once(images))])
