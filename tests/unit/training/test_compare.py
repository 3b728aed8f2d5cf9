from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import norm

from tests.unit.training import colors
from training import compare as module
from training.compare import compare, images_needed
from training.evaluate import Evaluation


def answers(right: list[bool], sure: float = 3.0) -> Evaluation:
    """Answers over two classes, of which the first is always the labeled one."""
    logits = torch.tensor([[sure, 0.0] if one else [0.0, sure] for one in right])
    return Evaluation(colors.card(("yes", "no")), torch.zeros(len(right), dtype=torch.int64), logits)


def test_mcnemar_uses_discordant_images_only() -> None:
    a, b = answers([True] * 90 + [False] * 6 + [True]), answers([True] * 90 + [True] * 6 + [False])
    found = compare(a, b)
    assert (found.only_a, found.only_b) == ((96,), (90, 91, 92, 93, 94, 95))
    # Of 7 images, 6 or more of one kind: (1 + 7) of 128, on two sides.
    assert found.p_value == pytest.approx(2 * 8 / 128)
    assert found.accuracy.value == pytest.approx(5 / 97)
    assert found.verdict.startswith("no difference that this test set can show")


def test_more_of_the_same_are_a_difference_and_its_direction_is_told() -> None:
    a, b = answers([True] * 90 + [False] * 8), answers([True] * 98)
    better, worse = compare(a, b), compare(b, a)
    assert better.p_value == pytest.approx(2 / 256)
    assert (better.verdict, worse.verdict) == ("B is better", "B is worse")
    assert (better.verdict_on_probabilities, worse.verdict_on_probabilities) == ("B's are better", "B's are worse")
    assert 0 < better.accuracy.low < 8 / 98 < better.accuracy.high
    assert (worse.accuracy.low, worse.accuracy.high) == pytest.approx((-better.accuracy.high, -better.accuracy.low))


def test_a_release_is_no_better_than_itself() -> None:
    a = answers([True, False] * 10)
    found = compare(a, a)
    assert (found.p_value, found.accuracy.value, found.accuracy.low, found.accuracy.high) == (1, 0, 0, 0)
    assert (found.only_a, found.only_b) == ((), ())
    assert found.verdict == (
        "no difference that this test set can show (it would take about 783 images to show one of 1 point)"
    )
    assert found.verdict_on_probabilities == "no difference that this test set can show"


def test_probabilities_may_be_better_where_answers_are_the_same() -> None:
    found = compare(answers([True] * 30, sure=1.0), answers([True] * 30, sure=3.0))
    assert found.verdict.startswith("no difference")
    assert found.verdict_on_probabilities == "B's are better"


def test_the_interval_is_that_of_the_normal_distribution_where_there_are_many_images() -> None:
    generator = np.random.default_rng(5)
    a, b = (answers((generator.random(4000) < share).tolist()) for share in (0.8, 0.82))
    found = compare(a, b)
    gains = b.right.numpy().astype(float) - a.right.numpy()
    reach = norm.ppf(0.975) * gains.std() / np.sqrt(4000)
    assert found.accuracy.high - found.accuracy.low == pytest.approx(2 * reach, rel=0.05)
    assert found.accuracy.value == pytest.approx(gains.mean())


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    a, b = answers([True, True, False] * 20), answers([True, False, True] * 20)
    b = dataclasses.replace(b, logits=b.logits * torch.linspace(0.5, 2, 60).unsqueeze(1))
    assert compare(a, b, seed=1).loss == compare(a, b, seed=1).loss
    assert compare(a, b, seed=1).loss != compare(a, b, seed=2).loss


def test_image_count_gives_80_percent_power() -> None:
    count, disagreement = images_needed(0.1, 0.04), 0.1
    generator = np.random.default_rng(7)
    shown = 0
    for _ in range(300):
        drawn = generator.multinomial(count, [(disagreement - 0.04) / 2, (disagreement + 0.04) / 2, 1 - disagreement])
        shown += module.mcnemar(int(drawn[0]), int(drawn[1])) < module.ALPHA
    # The exact test is somewhat more careful than the formula.
    assert 0.70 < shown / 300 < 0.86


def test_the_order_of_classes_need_not_be_the_same() -> None:
    a = answers([True, False])
    b = dataclasses.replace(a, card=colors.card(("no", "yes")), labels=1 - a.labels, logits=a.logits.flip(1))
    found = compare(a, b)
    assert (found.only_a, found.only_b, found.loss.value) == ((), (), 0)


def test_answers_to_different_images_are_not_compared() -> None:
    a = answers([True, False])
    with pytest.raises(ValueError, match="answered different images"):
        compare(a, answers([True]))
    with pytest.raises(ValueError, match="answered different images"):
        compare(a, dataclasses.replace(a, labels=1 - a.labels))
