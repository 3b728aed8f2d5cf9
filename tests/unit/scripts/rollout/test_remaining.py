from __future__ import annotations

from pathlib import Path

import pytest

from scripts.rollout.remaining import Goal, Remaining, remaining
from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report.figures import ArmFigures
from serving.rollout.report.words import SPACE
from serving.rollout.shadow.summary import ShadowSummary
from tests.support.rollout_records import Recorder


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    return Recorder(tmp_path).rollout


def text(left: Remaining) -> str:
    return left.text.replace(SPACE, " ")


def test_canary_waits_for_time_and_requests(rollout: Rollout) -> None:
    rollout.phase = RolloutPhase.CANARY
    left = remaining(rollout, 30.0, ArmFigures(requests=40), None, rate=0.5)
    assert left.goals == [Goal("time", 0.5, f"30{SPACE}s of 1{SPACE}min"), Goal("requests", 0.4, "40 of 100")]
    assert left.seconds == 120  # 60 requests at 0.5 per second, more than the 30 s of the hold
    assert text(left) == "about 2 min left, time limit in 59 min 30 s"


def test_canary_without_requests_has_no_estimate(rollout: Rollout) -> None:
    rollout.phase = RolloutPhase.CANARY
    assert text(remaining(rollout, 30.0, ArmFigures(), None, rate=None)) == "time limit in 59 min 30 s"
    assert text(remaining(rollout, 30.0, ArmFigures(), None, rate=0.0)) == "time limit in 59 min 30 s"


def test_complete_step_waits_for_its_verdicts(rollout: Rollout) -> None:
    rollout.phase = RolloutPhase.CANARY
    left = remaining(rollout, 3700.0, ArmFigures(requests=400), None, rate=1.0)
    assert text(left) == "complete; the verdicts decide, time limit in 0 s"


def test_shadow_waits_for_pairs_at_the_speed_so_far(rollout: Rollout) -> None:
    rollout.phase = RolloutPhase.SHADOW
    summary = ShadowSummary(self_pairs=30, pairs=150)
    left = remaining(rollout, 60.0, ArmFigures(), summary, rate=None)
    assert [goal.text for goal in left.goals] == ["30 of 30", "150 of 300", "0 of 30"]
    assert left.seconds == 60  # 180 of 360 comparisons took 60 s
    assert remaining(rollout, 60.0, ArmFigures(), None, rate=None).seconds is None


def test_baking_lasts_a_fixed_time(rollout: Rollout) -> None:
    rollout.phase = RolloutPhase.BAKING
    assert text(remaining(rollout, 100.0, ArmFigures(), None, None)) == "about 3 min 20 s left"


@pytest.mark.parametrize("phase", [RolloutPhase.PLANNED, RolloutPhase.DONE, RolloutPhase.ROLLING_BACK])
def test_other_phases_wait_for_nothing_that_counts(phase: RolloutPhase, rollout: Rollout) -> None:
    rollout.phase = phase
    assert remaining(rollout, 5.0, ArmFigures(), None, None) == Remaining([])


def test_paused_rollout_waits_for_a_person_only(rollout: Rollout) -> None:
    rollout.phase, rollout.paused = RolloutPhase.CANARY, "by eve"
    assert text(remaining(rollout, 5.0, ArmFigures(), None, None)) == ""
