"""The comparison of both versions so far, as the replayer stores it in `shadow/summary.json`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ShadowSummary(BaseModel):
    """Counts of the comparisons.

    Attributes:
        self_pairs: pairs of two answers of the stable version to one request.
        self_differences: such pairs that differ in anything. More than 0 means that no comparison can be trusted.
        pairs: pairs of an answer of the stable version and one of the candidate.
        images: images in these pairs. The counts below are images, and a pair whose statuses differ counts as one.
        status_differences: the candidate answered with another status.
        label_differences: another label.
        decision_differences: another decision (accept or refer).
        set_differences: another prediction set.
        stable_confidence, candidate_confidence: mean calibrated probability of each version's own label.
        largest_change: largest change of the probability of the stable version's label.
        labels: number of images by the stable version's label and the candidate's.
        correlations: Spearman's rank correlation of both attribution maps, by region, of images with equal labels.
        sampled: samples that workers sent.
        dropped: samples that were dropped because a queue was full.
    """

    model_config = ConfigDict(extra="forbid")

    self_pairs: int = 0
    self_differences: int = 0
    pairs: int = 0
    images: int = 0
    status_differences: int = 0
    label_differences: int = 0
    decision_differences: int = 0
    set_differences: int = 0
    stable_confidence: float | None = None
    candidate_confidence: float | None = None
    largest_change: float = 0.0
    labels: dict[str, dict[str, int]] = {}
    correlations: list[float] = []
    sampled: int = 0
    dropped: int = 0
