from __future__ import annotations

from pathlib import Path

from serving.rollout.report import evidence, periods
from serving.rollout.report.charts.timeline import LEFT, RIGHT, WIDTH, Timeline, timeline
from serving.rollout.report.words import SPACE
from serving.rollout.verdict import Outcome
from tests.support import rollout_records
from tests.support.rollout_records import Recorder


def drawn(recorder: Recorder) -> Timeline:
    parts = evidence.collect(recorder.record, recorder.entries)
    chart = timeline(parts, periods.of(parts))
    assert chart is not None
    return chart


def test_phases_fill_the_time_axis(tmp_path: Path) -> None:
    chart = drawn(rollout_records.done(tmp_path))
    assert (chart.bands[0].x, chart.bands[-1].x + chart.bands[-1].width) == (LEFT, WIDTH - RIGHT)
    for band, following in zip(chart.bands, chart.bands[1:], strict=False):
        assert abs(band.x + band.width - following.x) < 0.2
    assert chart.phases.replace(SPACE, " ") == "preparation, shadow, canary (1 %, 5 %), promote and baking"


def test_label_without_room_is_left_out_and_stays_in_the_title(tmp_path: Path) -> None:
    chart = drawn(rollout_records.done(tmp_path))
    promote = next(band for band in chart.bands if band.group == "promoted")
    assert (promote.label, promote.title) == ("", f"promote: 1{SPACE}s")
    baking = next(band for band in chart.bands if band.group == "baking")
    assert baking.label == "baking"


def test_lines_end_with_the_last_figures(tmp_path: Path) -> None:
    chart = drawn(rollout_records.rolled_back(tmp_path))
    labels = {panel.title: [line.label.replace(SPACE, " ") for line in panel.lines] for panel in chart.panels}
    assert labels["Share of requests"] == ["5 %"]
    assert labels["Latency"] == ["1.0: 20 ms", "2.0: 20 ms"]
    assert labels["Errors"] == ["1.0: 0.13 %", "2.0: 20 %"]
    assert chart.quiet == ["referred images"]


def test_rates_of_few_requests_are_not_drawn(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.rollout.share = 0.01
    recorder.enter(1, rollout_records.RolloutPhase.CANARY, share=0.01)
    recorder.figures(10, {"requests": 500, "errors": 5}, {"requests": 2, "errors": 1})
    errors = next(panel for panel in drawn(recorder).panels if panel.title == "Errors")
    assert [line.arm for line in errors.lines] == ["stable"]


def test_verdicts_are_segments_of_their_checks(tmp_path: Path) -> None:
    chart = drawn(rollout_records.rolled_back(tmp_path))
    errors = next(strip for strip in chart.strips if strip.title == "Errors")
    assert [segment.outcome for segment in errors.segments] == ["inconclusive", "fail"]
    assert (errors.last, errors.symbol) == ("fail", "\N{MULTIPLICATION X}")
    assert "candidate 12 of 60" in errors.segments[-1].title
    # It failed at the very end, and is visible all the same.
    assert errors.segments[-1].width >= 5
    assert errors.segments[-1].x + errors.segments[-1].width <= WIDTH - RIGHT


def test_unknown_check_has_a_strip_with_its_own_name(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.verdict(110, "moon_phase", Outcome.PASS, "it is full")
    assert drawn(recorder).strips[-1].title == "Moon phase"


def test_pause_is_marked(tmp_path: Path) -> None:
    chart = drawn(rollout_records.held(tmp_path))
    assert [pause.group for pause in chart.pauses] == ["paused"]


def test_long_rollouts_have_few_points(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.enter(0, rollout_records.RolloutPhase.SHADOW)
    for second in range(3000):
        recorder.figures(second, {"requests": second, "p95": 0.01 + 0.001 * (second % 7)}, {})
    latency = next(panel for panel in drawn(recorder).panels if panel.title == "Latency")
    assert len(latency.lines[0].points.split()) < 700


def test_rollout_without_figures_has_phases_and_verdicts(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    assert drawn(recorder).panels == []
    assert [band.label for band in drawn(recorder).bands] == ["preparation"]
