from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from handlers import decision
from handlers.engines import Outputs
from handlers.uncertainty import Mahalanobis, UncertaintyEstimator, straightened
from models.card import Policy, UncertaintyCard
from training.uncertainty import Fitted, Scored, UncertaintySettings, fit

HEAD = torch.tensor([[4.0, 0.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]])


def split(count: int, seed: int) -> Scored:
    """Three classes along three of four axes, so near to each other that a tenth is answered wrong."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    embeddings = torch.eye(4)[labels] + 0.4 * torch.randn(count, 4, generator=generator)
    return Scored(Outputs(embeddings @ HEAD.T, embeddings), labels)


TRAIN, CALIBRATION, TEST = split(900, 0), split(900, 1), split(3000, 2)


def estimator(fitted: Fitted) -> UncertaintyEstimator:
    return UncertaintyEstimator(
        fitted.uncertainty, Mahalanobis.of(fitted.tensors, torch.device("cpu")) if fitted.tensors else None
    )


def judged(fitted: Fitted, outputs: Outputs) -> list[decision.Uncertainty]:
    ranking = decision.rank(outputs.logits, fitted.uncertainty.temperature)
    return decision.uncertainties(ranking, outputs, estimator(fitted), ("0", "1", "2"))


@pytest.mark.parametrize("ood", ["mahalanobis", "energy"])
def test_fitted_coverage_holds_on_new_images(ood: str) -> None:
    fitted = fit(TRAIN, CALIBRATION, UncertaintySettings(coverage=0.95, ood=ood, false_positive_rate=0.1))
    found = judged(fitted, TEST.outputs)
    covered = [str(label) in one.set for one, label in zip(found, TEST.labels.tolist(), strict=True)]
    alarms = [one.reason == "out_of_distribution" for one in found]
    assert sum(covered) / 3000 == pytest.approx(0.95, abs=0.025)  # two splits' chance together
    assert sum(alarms) / 3000 == pytest.approx(0.1, abs=0.035)
    assert fitted.remarks == ()


def test_an_image_unlike_any_is_told_from_the_embedding_though_the_network_is_sure_of_it() -> None:
    outlier = torch.tensor([[1.0, 0.0, 0.0, 900.0]])  # the fourth axis speaks for no class
    outputs = Outputs(outlier @ HEAD.T, outlier)
    (found,) = judged(fit(TRAIN, CALIBRATION, UncertaintySettings()), outputs)
    assert (found.set, found.decision, found.reason) == (["0"], "refer", "out_of_distribution")
    (unseen,) = judged(fit(TRAIN, CALIBRATION, UncertaintySettings(ood="energy")), outputs)
    assert unseen.reason is None, "energy knows the logits alone"


def test_mahalanobis_is_the_only_score_with_a_file() -> None:
    assert fit(TRAIN, CALIBRATION, UncertaintySettings(ood="energy")).tensors == {}
    assert {value.dtype for value in fit(TRAIN, CALIBRATION, UncertaintySettings()).tensors.values()} == {torch.float32}


def test_means_come_from_the_training_images_and_thresholds_from_the_calibration_images() -> None:
    fitted = fit(TRAIN, CALIBRATION, UncertaintySettings())
    straight = straightened(TRAIN.outputs.embeddings, fitted.tensors["unit"])
    means = [straight[TRAIN.labels == label].mean(dim=0).float() for label in range(3)]
    assert torch.allclose(fitted.tensors["means"], torch.stack(means), atol=1e-5)
    alarms = [one.reason == "out_of_distribution" for one in judged(fitted, CALIBRATION.outputs)]
    assert sum(alarms) / 900 == pytest.approx(0.05, abs=0.003)


def test_the_settings_stand_in_the_card() -> None:
    settings = UncertaintySettings(
        coverage=0.8, conformal="aps", false_positive_rate=0.2, policy=Policy(min_probability=0.5)
    )
    uncertainty = fit(TRAIN, CALIBRATION, settings).uncertainty
    assert (uncertainty.conformal.method, uncertainty.conformal.coverage, uncertainty.conformal.penalty) == (
        "aps",
        0.8,
        0,
    )
    assert (uncertainty.ood.score, uncertainty.ood.false_positive_rate, uncertainty.policy.min_probability) == (
        "mahalanobis",
        0.2,
        0.5,
    )
    assert UncertaintyCard.model_validate_json(uncertainty.model_dump_json()) == uncertainty


def test_too_few_calibration_images_are_remarked_on_and_still_give_a_trust() -> None:
    fitted = fit(TRAIN, split(6, 3), UncertaintySettings())
    assert len(fitted.remarks) >= 2
    assert all(len(one.set) == 3 for one in judged(fitted, TEST.outputs))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"coverage": 1.0}, "coverage"),
        ({"false_positive_rate": 0}, "false_positive_rate"),
        ({"ood": "magic"}, "ood"),
        ({"penalti": 0.1}, "penalti"),
        ({"conformal": "aps", "penalty": 0.1}, "penalty and free are of raps, and conformal is aps"),
        ({"policy": {"max_set_size": 0}}, "max_set_size"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
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
