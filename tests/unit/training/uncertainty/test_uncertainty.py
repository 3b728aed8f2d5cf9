from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from handlers import decision
from handlers.engines import Outputs
from handlers.modalities.image.pixel_statistics import pixel_statistics
from handlers.uncertainty import UncertaintyEstimator
from models.card import UncertaintyCard
from training.uncertainty import Fitted, Scored, UncertaintySettings, fit
from training.uncertainty.referral import PolicySettings

HEAD = torch.tensor([[4.0, 0.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]])


def split(count: int, seed: int) -> Scored:
    """Three classes along three of four axes, so near to each other that a tenth is answered wrong."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    embeddings = torch.eye(4)[labels] + 0.4 * torch.randn(count, 4, generator=generator)
    pixels = torch.randint(0, 256, (count, 3, 8, 8), generator=generator).byte()
    return Scored(Outputs(embeddings @ HEAD.T, embeddings, pixel_statistics(pixels)), labels)


TRAIN, CALIBRATION, TEST = split(900, 0), split(900, 1), split(3000, 2)
FIXED = PolicySettings(min_probability=0.0)


def judged(fitted: Fitted, outputs: Outputs) -> list[decision.Uncertainty]:
    ranking = decision.rank(outputs.logits, fitted.uncertainty.temperature)
    estimator = UncertaintyEstimator(fitted.uncertainty, fitted.tensors)
    return decision.uncertainties(ranking, outputs, estimator, ("0", "1", "2"))


@pytest.mark.parametrize("ood", ["mahalanobis", "energy"])
def test_fitted_coverage_and_false_alarms_hold_on_new_images(ood: Any) -> None:
    fitted = fit(TRAIN, CALIBRATION, UncertaintySettings(coverage=0.95, ood=ood, false_positive_rate=0.1))
    answers = judged(fitted, TEST.outputs)
    covered = [str(label) in (answer.set or ()) for answer, label in zip(answers, TEST.labels.tolist(), strict=True)]
    alarms = [answer.reason == "out_of_distribution" for answer in answers]
    assert sum(covered) / 3000 == pytest.approx(0.95, abs=0.025)  # two splits' chance together
    assert sum(alarms) / 3000 == pytest.approx(0.1, abs=0.035)


@pytest.mark.parametrize("refer", [0.05, "20%", " 5 % "])
def test_share_to_refer_holds_on_new_images(refer: Any) -> None:
    settings = UncertaintySettings(refer=refer)
    fitted = fit(TRAIN, CALIBRATION, settings)
    referred = [answer.decision == "refer" for answer in judged(fitted, TEST.outputs)]
    assert sum(referred) / 3000 == pytest.approx(settings.refer, abs=0.025)
    assert fitted.uncertainty.refer == settings.refer


def test_referral_catches_mistakes() -> None:
    answers = judged(fit(TRAIN, CALIBRATION, UncertaintySettings(refer=0.2)), TEST.outputs)
    wrong = (TEST.outputs.logits.argmax(dim=1) != TEST.labels).tolist()
    caught = [answer.decision == "refer" for answer, is_wrong in zip(answers, wrong, strict=True) if is_wrong]
    assert sum(caught) / len(caught) > 0.5, "a fifth is referred"


def test_sure_answer_to_an_image_with_another_embedding_is_referred_for_its_content() -> None:
    outlier = torch.tensor([[1.0, 0.0, 0.0, 900.0]])  # the fourth axis speaks for no class
    outputs = Outputs(outlier @ HEAD.T, outlier, TEST.outputs.statistics[:1])
    (answer,) = judged(fit(TRAIN, CALIBRATION, UncertaintySettings(policy=FIXED)), outputs)
    assert (answer.decision, answer.reason, answer.reason_detail) == ("refer", "out_of_distribution", "content")
    (unseen,) = judged(fit(TRAIN, CALIBRATION, UncertaintySettings(ood="energy", policy=FIXED)), outputs)
    assert (unseen.reason, unseen.reason_detail) == (None, None), "energy knows the logits alone"


def test_energy_without_pixel_statistics_needs_no_tensors() -> None:
    assert fit(TRAIN, CALIBRATION, UncertaintySettings(ood="energy", pixel_statistics=False)).tensors == {}
    with_pixels = fit(TRAIN, CALIBRATION, UncertaintySettings(ood="energy")).tensors
    assert set(with_pixels) == {"pixel_mean", "pixel_deviation", "pixel_precision"}


def test_means_come_from_the_training_images_and_thresholds_from_the_calibration_images() -> None:
    fitted = fit(TRAIN, CALIBRATION, UncertaintySettings(false_positive_rate=0.05))
    means = [TRAIN.outputs.embeddings[TRAIN.labels == label].mean(dim=0) for label in range(3)]
    assert torch.allclose(fitted.tensors["means"], torch.stack(means), atol=1e-5)
    alarms = [answer.reason == "out_of_distribution" for answer in judged(fitted, CALIBRATION.outputs)]
    assert sum(alarms) / 900 == pytest.approx(0.05, abs=0.003)


def test_settings_are_in_the_card() -> None:
    settings = UncertaintySettings(
        coverage=0.8, conformal="aps", ood="mahalanobis", false_positive_rate=0.2, policy={"min_probability": 0.5}
    )
    uncertainty = fit(TRAIN, CALIBRATION, settings).uncertainty
    assert uncertainty.conformal is not None
    assert (uncertainty.conformal.method, uncertainty.conformal.coverage, uncertainty.conformal.penalty) == (
        "aps",
        0.8,
        0,
    )
    assert (uncertainty.ood.score, uncertainty.ood.false_positive_rate) == ("mahalanobis", 0.2)
    assert (uncertainty.refer, uncertainty.policy.min_probability) == (None, 0.5)
    assert UncertaintyCard.model_validate_json(uncertainty.model_dump_json()) == uncertainty


def test_auto_coverage_is_above_the_accuracy() -> None:
    fitted = fit(TRAIN, CALIBRATION, UncertaintySettings())
    right = float((CALIBRATION.outputs.logits.argmax(dim=1) == CALIBRATION.labels).double().mean())
    assert fitted.uncertainty.conformal is not None
    assert fitted.uncertainty.conformal.coverage > right
    assert fitted.uncertainty.conformal.thresholds[0] > 0


def test_few_calibration_images_give_remarks_and_answers_without_sets() -> None:
    fitted = fit(TRAIN, split(6, 3), UncertaintySettings())
    assert len(fitted.remarks) == 3, "calibration, sets and false alarms"
    assert fitted.uncertainty.no_sets_reason is not None
    assert all(answer.set is None for answer in judged(fitted, TEST.outputs))
    by_sets = fit(TRAIN, split(6, 3), UncertaintySettings(policy=PolicySettings(max_set_size=1)))
    assert by_sets.remarks[:-1] == fitted.remarks
    assert by_sets.remarks[-1].startswith("policy.max_set_size (1) is left out"), (
        "a rule of the user is not lost silently"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"coverage": 1.0}, "coverage"),
        ({"coverage": "high"}, "coverage"),
        ({"false_positive_rate": 0}, "false_positive_rate"),
        ({"ood": "magic"}, "ood"),
        ({"penalti": 0.1}, "penalti"),
        ({"conformal": "aps", "penalty": 0.1}, "penalty and free are of raps, and conformal is aps"),
        ({"policy": {"max_set_size": 0}}, "max_set_size"),
        ({"refer": "150%"}, "refer"),
        ({"refer": "few%"}, "refer"),
        ({"refer": -0.1}, "refer"),
    ],
)
def test_impossible_settings_are_errors(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        UncertaintySettings(**settings)


def test_a_split_without_images_is_refused() -> None:
    empty = Scored(Outputs(torch.zeros(0, 3), torch.zeros(0, 4)), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="the calibration split has 0 logits"):
        fit(TRAIN, empty, UncertaintySettings())


def test_outputs_that_are_no_numbers_are_refused() -> None:
    broken = Scored(Outputs(TRAIN.outputs.logits * float("nan"), TRAIN.outputs.embeddings), TRAIN.labels)
    with pytest.raises(ValueError, match="images of the train split with NaN or infinity"):
        fit(broken, CALIBRATION, UncertaintySettings())
