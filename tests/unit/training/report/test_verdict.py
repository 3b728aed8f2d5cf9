"""The verdict of models of several kinds: it says no more than the figures show."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.unit.training.colors import card
from tests.unit.training.report.models import evaluation, report_of
from training.evaluate import Evaluation
from training.metrics.battery import Battery, SetFigures
from training.metrics.interval import Share, share
from training.report.verdict import sentences


def kind(title: str, accepted: Share, right: Share | None = None, *, is_foreign: bool = False) -> SetFigures:
    wrong = share(accepted.count - (right.count if right else 0), accepted.total)
    accuracy = None if is_foreign else share(right.count if right else 0, accepted.total)
    return SetFigures(title, title, accepted.total, accepted, right, wrong, accuracy, None, None, {}, {})


def verdict(test: Evaluation, *kinds: SetFigures, caveat: str | None = None) -> str:
    report, figures = report_of(test, caveat)
    unchanged = kind("unchanged", share(1, 1), share(1, 1))
    battery = Battery((unchanged, *kinds), ()) if kinds else None
    return " ".join(sentences(replace(report, battery=battery), figures))


def test_good_model_says_how_often_it_is_right_and_what_referral_gains() -> None:
    test = evaluation(list(range(10)), 400, referred=tuple(range(9)) + tuple(range(100, 111)), sure=0.975)
    assert verdict(test) == (
        "Right on 97.5 % of new images like these (95.5 to 98.6 %). With 5.0 % referred to a person, 99.7 % of "
        "the rest are right (98.5 to 100.0 %)."
    )


def test_weak_model_is_not_shown_to_be_of_use() -> None:
    text = verdict(evaluation(list(range(95)), 200, sure=0.525))
    assert text.startswith("Not shown to be of use: right on 52.5 % of 200 test images (45.6 to 59.3 %), where always ")
    assert "“cat” is right on 50 %." in text


def test_model_that_is_wrong_on_most_images_says_so() -> None:
    labels = torch.arange(400) % 4
    predicted = torch.where(torch.arange(400) < 160, labels, (labels + 1) % 4)
    test = Evaluation(card(("a", "b", "c", "d")), labels, 0.5 * torch.eye(4)[predicted])
    assert verdict(test).startswith("Wrong on most images: right on 40.0 % of new images like these (35.3 to 44.9 %).")


def test_perfect_model_on_few_images_says_what_they_show() -> None:
    text = verdict(evaluation([], 24, sure=0.99))
    assert text.startswith("Right on 100 % of new images like these (86.2 to 100.0 %).")
    text = verdict(evaluation([], 12, sure=0.99))
    assert text.startswith("Too few test images to say more than: right on 12 of 12, so on at least 76 % of new images")


def test_referral_without_effect_is_said() -> None:
    wrong = list(range(40))
    assert "Referral finds no more of its mistakes than chance." in verdict(
        evaluation(wrong, 400, referred=tuple(range(380, 400)))
    )
    assert "Too few mistakes to show whether referral finds them." in verdict(
        evaluation([0], 100, referred=(1, 2, 3, 4, 5), sure=0.99)
    )
    assert "Refers no test image to a person." in verdict(evaluation([0], 100, sure=0.99))
    assert "Refers nothing to a person" in verdict(evaluation([0], 100, sure=0.99, rule=None))


def test_probabilities_that_are_off_are_said() -> None:
    assert "Its probabilities are off by 24.9 points on average (20." in verdict(
        evaluation(list(range(100)), 400, sure=0.999)
    )
    assert "probabilities" not in verdict(evaluation(list(range(20)), 400, sure=0.95))


def test_weak_class_is_named() -> None:
    # All mistakes are cats: 60 of 200.
    text = verdict(evaluation(list(range(0, 120, 2)), 400, sure=0.85))
    assert "Weak on “cat” (70.0 % recognized)." in text


def test_kinds_of_images_that_are_accepted_and_wrong_are_named_worst_first() -> None:
    text = verdict(
        evaluation([], 400, sure=0.999),
        kind("gray", share(190, 200), share(185, 190)),
        kind("mirrored", share(150, 200), share(84, 150)),
        kind("photos of other things", share(62, 200), is_foreign=True),
        kind("screenshots", share(3, 200), is_foreign=True),
        kind("tinted orange", share(200, 200), share(66, 200)),
        kind("dimmed", share(0, 200), None),
    )
    assert text.endswith(
        "Not for: tinted orange images (33.0 % of the accepted are right), mirrored images (56.0 % of the accepted are "
        "right), photos of other things (31.0 % accepted)."
    )


def test_kinds_that_are_no_problem_are_not_praised_beyond_their_number() -> None:
    text = verdict(evaluation([], 400, sure=0.999), kind("gray", share(190, 200), share(190, 190)))
    assert text.endswith("None of 1 kinds of changed and foreign images is shown to be often accepted and wrong.")


def test_unfair_split_is_said_first() -> None:
    text = verdict(evaluation([], 400, sure=0.999), caveat="pets 1.0 was fitted on the train split")
    assert text.startswith("Not a fair test: pets 1.0 was fitted on the train split. Right on 100 % of these images")
