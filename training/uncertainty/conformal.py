"""Split conformal sets: APS (Romano et al. 2020, arXiv:2006.02544), RAPS (Angelopoulos et al. 2021, arXiv:2009.14193).

The random draw of both methods is left out, because the same image must always get the same set. So sets are never too
small. If the most probable class is right more often than `coverage`, the sets contain the right class more often too.
"""

from __future__ import annotations

import math

import torch

from handlers.uncertainty import rank_scores


def fit_threshold(
    probabilities: torch.Tensor, labels: torch.Tensor, coverage: float, *, penalty: float, free: int
) -> tuple[float, tuple[str, ...]]:
    """Return the threshold for sets with this coverage on new images, and remarks.

    Args:
        probabilities: (N, classes), of images that no weight was fitted on.
        labels: int64 (N,).
    """
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    scores = rank_scores(ranked, penalty, free)[order == labels[:, None]]
    rank = conservative_rank(len(labels), coverage)
    if rank > len(labels):
        min_images = math.ceil(round(coverage / (1 - coverage), 9))
        few = f"{len(labels)} calibration images are too few for sets with coverage {coverage:g}: every set holds all "
        return 1.0 + penalty * probabilities.shape[1], (f"{few}classes; {min_images} or more are needed",)
    threshold = float(scores.sort().values[rank - 1])
    if threshold > 0:
        return threshold, ()
    alone = float((order[:, 0] == labels).double().mean())
    remark = f"the most probable class alone is right on {alone:.1%} of the calibration images, more than coverage "
    return threshold, (f"{remark}{coverage:g}: every set holds one class; a higher coverage would say more",)


def conservative_rank(count: int, share: float) -> int:
    """Return the rank ceil((count + 1) * share). A new score exceeds this one with probability 1 - `share` at most.

    Ranks begin with 1. A rank above `count` means that no score is large enough (Angelopoulos, Bates 2021,
    arXiv:2107.07511, 1.1).
    """
    # A product such as 100 * 0.07 is a little above 7 in floating point, and must not become 8.
    return math.ceil(round((count + 1) * share, 9))
