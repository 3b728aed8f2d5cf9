"""Figures of rollouts under load, from responses with known times."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rollouts.__main__ import section, shadow_section
from benchmarks.rollouts.scenarios import CANARY_ONLY, WITHOUT_HOLDS, Run, Scenario, wait
from benchmarks.rollouts.shadow_cost import Period
from benchmarks.rollouts.watch import Watch
from serving.rollout.phase import RolloutPhase
from tests.support.traffic import Answer


def watched(tmp_path: Path, started: float, alarm: float | None = None) -> Watch:
    watch = Watch(tmp_path)
    watch.started, watch.alarm = started, alarm
    watch.reached = {RolloutPhase.VERIFIED: started + 0.5, RolloutPhase.REGISTERED: started + 4.0}
    return watch


def test_last_answer_counts_from_the_alarm(tmp_path: Path) -> None:
    slow = Scenario("rollback", "1.2", CANARY_ONLY, wait, RolloutPhase.ROLLED_BACK)
    run = Run(slow, watched(tmp_path, 100.0, alarm=110.0), 100.0, 120.0)
    answers = [Answer(109.0, 0.1, 200, "1.2"), Answer(110.0, 0.25, 200, "1.2"), Answer(111.0, 0.1, 200, "1.0")]
    assert run.last_answer(answers) == 0.25
    assert run.answers([*answers, Answer(121.0, 0.1, 200, "1.2")]) == answers


def test_full_share_is_the_last_answer_of_the_version_before(tmp_path: Path) -> None:
    good = Scenario("promotion", "2.1", WITHOUT_HOLDS, wait, RolloutPhase.DONE)
    run = Run(good, watched(tmp_path, 100.0), 99.0, 120.0)
    answers = [Answer(104.0, 0.5, 200, "2.0"), Answer(104.2, 0.1, 200, "2.1"), Answer(105.0, 0.1, 500, "2.1")]
    assert run.full_share(answers) == 4.5
    assert run.load_seconds() == 3.5
    assert run.last_answer(answers) is None
    text = section([run], answers, 60.0, 100.0)
    assert "3 requests at 60/s, 60% of the capacity of 100/s. 1 failed" in text
    assert "| promotion without holds" not in text
    assert "| promotion | 3 | 1 | 2 |" in text
    assert "4.5 s after the start" in text


def test_cost_of_a_shadow_is_the_ratio_of_neighbors() -> None:
    periods = [Period(True, 0, 10), Period(False, 10, 20), Period(False, 20, 30), Period(True, 30, 40)]
    answers = [Answer(second, 0.02 if second < 20 else 0.06, 200, "1.0") for second in range(40)]
    answers += [Answer(second + 0.5, 0.03, 200, "1.0") for second in range(10)]
    text = shadow_section(periods, answers)
    assert "4 periods of 20 s" in text
    assert "| p99 | 40.0 ms | 45.0 ms | 1.25 (1.12 to 1.38) |" in text
