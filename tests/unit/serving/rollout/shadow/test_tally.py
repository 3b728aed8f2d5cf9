from __future__ import annotations

import pytest

from serving.rollout.shadow.comparison import ImagePair, Pair
from serving.rollout.shadow.tally import Tally


def image(
    labels: tuple[str, str] = ("a", "a"), confidences: tuple[float | None, float | None] = (0.8, 0.6), **more: object
) -> ImagePair:
    fields = {"change": 0.2, "decisions": ("accept", "accept"), "same_set": True}
    return ImagePair.model_validate({"labels": labels, "confidences": confidences, **fields, **more})


def pair(*images: ImagePair, statuses: tuple[int, int] = (200, 200), itself: bool = False, **more: str) -> Pair:
    return Pair(itself=itself, statuses=statuses, milliseconds=1.0, images=list(images), **more)


def test_pairs_of_the_stable_version_with_itself_count_apart() -> None:
    summary = Tally([pair(image(), itself=True), pair(image(), itself=True, difference="set")]).result(2, 0)
    assert (summary.self_pairs, summary.self_differences, summary.pairs, summary.images) == (2, 1, 0, 0)


def test_differences_are_counted_by_image() -> None:
    tally = Tally([pair(image(), image(("a", "b"), (0.9, 0.7), change=0.5, decisions=("accept", "refer")))])
    tally.add(pair(image(("b", "b"), same_set=False, correlation=0.25)))
    summary = tally.result(sampled=5, dropped=3)
    assert (summary.pairs, summary.images) == (2, 3)
    assert (summary.label_differences, summary.decision_differences, summary.set_differences) == (1, 1, 1)
    assert summary.largest_change == 0.5
    assert summary.labels == {"a": {"a": 1, "b": 1}, "b": {"b": 1}}
    assert summary.correlations == [0.25]
    assert summary.stable_confidence == pytest.approx((0.8 + 0.9 + 0.8) / 3)
    assert summary.candidate_confidence == pytest.approx((0.6 + 0.7 + 0.6) / 3)
    assert (summary.sampled, summary.dropped) == (5, 3)


def test_a_pair_with_two_statuses_counts_as_one_image() -> None:
    summary = Tally([pair(statuses=(200, 500)), pair(statuses=(415, 415))]).result(2, 0)
    assert (summary.pairs, summary.images, summary.status_differences) == (2, 1, 1)


def test_answers_without_probabilities_leave_the_means_alone() -> None:
    summary = Tally([pair(image(confidences=(0.8, None), change=None))]).result(1, 0)
    assert (summary.stable_confidence, summary.candidate_confidence) == (None, None)
    assert summary.largest_change == 0.0


def test_the_lines_of_the_file_make_the_same_summary() -> None:
    pairs = [pair(image(), image(("a", "b"), correlation=None)), pair(statuses=(200, 0)), pair(itself=True)]
    stored = [Pair.model_validate_json(each.model_dump_json(exclude_defaults=True)) for each in pairs]
    assert Tally(stored).result(3, 0) == Tally(pairs).result(3, 0)
