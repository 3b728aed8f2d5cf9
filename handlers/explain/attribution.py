"""What every attribution method returns, and the evidence that it adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Attribution:
    """The attribution of N images.

    Attributes:
        values: (N, 3, H, W), signed: how much each input value adds to the target's logit.
        f_x: (N,), the target's logit for the image.
        f_baseline: (N,), the target's logit for the baseline.
        parameters: what the method was run with, for the answer.
    """

    values: torch.Tensor
    f_x: torch.Tensor
    f_baseline: torch.Tensor
    parameters: dict[str, Any]

    def heat(self, row: int) -> torch.Tensor:
        """The signed map (H, W) of one image: the attribution summed over its channels."""
        return self.values[row].sum(dim=0)

    def completeness(self, row: int) -> dict[str, Any]:
        """Whether the attribution of one image adds up to what the network's answer rests on.

        The axiom (Sundararajan et al., arXiv 1703.01365) wants sum(values) = f_x - f_baseline; `delta` is the
        difference that is left. It is `ok` up to 5 % of the right side, or of 1 where that is smaller: a purely
        relative bound breaks where the two logits are near each other.
        """
        difference = float(self.f_x[row] - self.f_baseline[row])
        delta = float(self.values[row].sum()) - difference
        return {"delta": round(delta, 6), "ok": abs(delta) <= 0.05 * max(abs(difference), 1.0)}
