"""The sums of all pairs of a rollout."""

from __future__ import annotations

from collections.abc import Iterable

from serving.rollout.shadow.comparison import ImagePair, Pair
from serving.rollout.shadow.summary import ShadowSummary


class Tally:
    """Sums of pairs, from which the summary is made.

    Attributes:
        summary: the counts so far, without the mean confidences.
    """

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self.summary = ShadowSummary()
        self._confidences = [0.0, 0.0]
        self._with_confidence = 0
        for pair in pairs:
            self.add(pair)

    def add(self, pair: Pair) -> None:
        """Count a pair."""
        summary = self.summary
        if pair.itself:
            summary.self_pairs += 1
            summary.self_differences += pair.difference is not None
            return
        summary.pairs += 1
        if pair.statuses[0] != pair.statuses[1]:
            summary.status_differences += 1
            summary.images += 1
        for image in pair.images:
            self._add_image(image)

    def _add_image(self, image: ImagePair) -> None:
        summary = self.summary
        stable, candidate = image.labels
        summary.images += 1
        summary.label_differences += stable != candidate
        summary.decision_differences += image.decisions[0] != image.decisions[1]
        summary.set_differences += not image.same_set
        summary.largest_change = max(summary.largest_change, image.change or 0.0)
        row = summary.labels.setdefault(stable, {})
        row[candidate] = row.get(candidate, 0) + 1
        if image.correlation is not None:
            summary.correlations.append(image.correlation)
        before, after = image.confidences
        if before is not None and after is not None:
            self._with_confidence += 1
            self._confidences[0] += before
            self._confidences[1] += after

    def result(self, sampled: int, dropped: int) -> ShadowSummary:
        """Return the summary.

        Args:
            sampled: samples that workers sent.
            dropped: samples that were dropped because a queue was full.
        """
        means = [total / self._with_confidence for total in self._confidences] if self._with_confidence else [None] * 2
        return self.summary.model_copy(
            update={
                "stable_confidence": means[0],
                "candidate_confidence": means[1],
                "sampled": sampled,
                "dropped": dropped,
            }
        )
