from __future__ import annotations

import math

import pytest
import torch

from handlers.engines import Outputs
from handlers.modalities.image.pixel_statistics import pixel_statistics
from handlers.uncertainty.ood import OodDetector
from training.uncertainty.ood import FittedOod, OodRule, detected_share, fit_ood, fit_threshold, scale
from training.uncertainty.scored import Scored, ScoredBatterySet

HEAD = torch.eye(3, 4)
RULE = OodRule(score="mahalanobis", pixel_statistics=True, false_positive_rate=0.05)


def pictures(count: int, seed: int) -> torch.Tensor:
    """Gray noise around a gray level of its own in each image, uint8 (count, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(90, 160, (count, 1, 1, 1), generator=generator)
    return (levels + torch.randint(-30, 31, (count, 1, 16, 16), generator=generator)).expand(-1, 3, -1, -1).byte()


def split(count: int, seed: int, pixels: torch.Tensor | None = None, shift: float = 0.0) -> Scored:
    """Three classes along three of four axes; the fourth does not reach the logits."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    embeddings = 3 * torch.eye(4)[labels] + 0.5 * torch.randn(count, 4, generator=generator)
    embeddings[:, 3] += shift
    statistics = pixel_statistics(pictures(count, seed) if pixels is None else pixels)
    return Scored(Outputs(embeddings @ HEAD.T, embeddings, statistics), labels)


TRAIN, CALIBRATION = split(600, 0), split(300, 1)


def flagged(fitted: FittedOod, scored: Scored) -> tuple[float, str]:
    """Return the share that is detected, and the detail of the first image."""
    scores = OodDetector(fitted.card, fitted.tensors)(scored.outputs)
    return sum(value > fitted.card.threshold for value in scores.values) / len(scored.labels), scores.details()[0]


@pytest.mark.parametrize("score", ["mahalanobis", "mahalanobis_asinh", "relative_mahalanobis", "energy"])
@pytest.mark.parametrize("with_pixels", [False, True])
def test_false_alarms_on_new_images_are_as_asked(score: str, with_pixels: bool) -> None:
    fitted = fit_ood(TRAIN, split(1500, 1), OodRule(score, with_pixels, 0.1))  # type: ignore[arg-type]
    share, _ = flagged(fitted, split(2000, 2))
    assert share == pytest.approx(0.1, abs=0.045)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda pixels: (pixels * torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1)).byte(), "colors"),
        (lambda pixels: (pixels * 0.4).byte(), "brightness"),
        (lambda pixels: pixels.float().mean(dim=(2, 3), keepdim=True).expand(-1, -1, 16, 16).byte(), "sharpness"),
    ],
    ids=["orange", "dark", "flat"],
)
def test_changed_pixels_are_detected_and_named_though_the_embedding_is_ordinary(change, kind: str) -> None:  # type: ignore[no-untyped-def]
    fitted = fit_ood(TRAIN, CALIBRATION, RULE)
    share, detail = flagged(fitted, split(60, 3, change(pictures(60, 3))))
    assert share == 1
    assert detail == kind or (kind == "sharpness" and detail == "brightness"), "a flat image has no contrast either"


def test_other_content_is_detected_though_the_pixels_are_ordinary() -> None:
    fitted = fit_ood(TRAIN, CALIBRATION, RULE)
    assert flagged(fitted, split(60, 3, shift=6.0)) == (1, "content")


def test_without_pixel_statistics_changed_pixels_are_not_seen() -> None:
    fitted = fit_ood(TRAIN, CALIBRATION, OodRule("mahalanobis", pixel_statistics=False, false_positive_rate=0.05))
    assert fitted.card.pixel_scale is None
    share, _ = flagged(fitted, split(60, 3, (pictures(60, 3) * 0.4).byte()))
    assert share < 0.3


def battery(shift: float) -> list[ScoredBatterySet]:
    """Foreign images that only the fourth axis of the embedding shows."""
    return [ScoredBatterySet("foreign", split(50, 5, shift=shift).outputs, None)]


def test_auto_chooses_the_score_that_detects_the_battery() -> None:
    auto = OodRule(score="auto", pixel_statistics=True, false_positive_rate=0.05)
    fitted = fit_ood(TRAIN, CALIBRATION, auto, battery(4.0))
    assert set(fitted.card.choice) == {"mahalanobis", "relative_mahalanobis", "mahalanobis_asinh", "energy"}
    assert fitted.card.choice[fitted.card.score] == max(fitted.card.choice.values()) > 0.9
    assert fitted.card.choice["energy"] < 0.3, "the logits do not show it"


def test_auto_without_a_battery_is_the_first_score() -> None:
    fitted = fit_ood(TRAIN, CALIBRATION, OodRule("auto", True, 0.05))
    assert (fitted.card.score, fitted.card.choice) == ("mahalanobis", {})


def test_auto_takes_energy_where_no_covariance_can_be_had() -> None:
    alike = Scored(Outputs(TRAIN.outputs.logits, torch.ones(600, 4), TRAIN.outputs.statistics), TRAIN.labels)
    assert fit_ood(alike, CALIBRATION, OodRule("auto", True, 0.05), battery(4.0)).card.score == "energy"


def test_changed_images_that_are_predicted_correctly_need_not_be_detected() -> None:
    fitted = fit_ood(TRAIN, CALIBRATION, RULE)
    changed = split(60, 3)
    right = ScoredBatterySet("mirrored", changed.outputs, changed.labels)
    assert not right.to_refer.any()
    assert detected_share(fitted, [right]) == 0
    assert detected_share(fitted, [right, *battery(6.0)]) == 1, "a set that nothing need be detected of does not count"


@pytest.mark.parametrize(("images", "rate"), [(99, 0.05), (100, 0.01)])
def test_auto_rate_is_lower_where_it_can_be_measured(images: int, rate: float) -> None:
    rule = OodRule("energy", pixel_statistics=False, false_positive_rate="auto")
    assert fit_ood(TRAIN, split(images, 1), rule).card.false_positive_rate == rate


def test_scale_maps_median_to_0_and_the_95_percent_quantile_to_1() -> None:
    fitted = scale(torch.arange(101.0), logarithmic=False)
    assert (fitted.median, fitted.upper) == (50, 95)
    alike = scale(torch.ones(10), logarithmic=True)
    assert alike.upper > alike.median, "or the scale would divide by zero"


@pytest.mark.slow
@pytest.mark.parametrize(("count", "false_positive_rate"), [(99, 0.05), (199, 0.01), (60, 0.1)])
def test_new_images_alarm_exactly_as_often_as_promised(count: int, false_positive_rate: float) -> None:
    seeds, alarms = 4000, 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(seeds):
        scores = (100 * torch.rand(count + 1, generator=generator, dtype=torch.float64) ** 2).tolist()
        threshold, _ = fit_threshold(scores[:-1], false_positive_rate)
        alarms += scores[-1] > threshold
    promised = 1 - math.ceil(round((count + 1) * (1 - false_positive_rate), 9)) / (count + 1)
    assert promised <= false_positive_rate + 1e-9
    assert alarms / seeds == pytest.approx(promised, abs=3 * math.sqrt(promised * (1 - promised) / seeds) + 1e-3)


def test_too_few_images_give_the_largest_score_and_a_remark() -> None:
    threshold, (remark,) = fit_threshold([float(score) for score in range(10)], 0.05)
    assert threshold == 9
    assert "10 calibration images are too few for a false positive rate of 0.05" in remark
    assert "one image in 11" in remark
