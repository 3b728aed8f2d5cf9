"""Metrics of rollouts: share, phase, pause and verdicts of the last rollout of each model."""

from __future__ import annotations

import datetime
from pathlib import Path

from prometheus_client.core import Metric

from serving.exporter import rollouts
from serving.rollout.phase import RolloutPhase
from serving.rollout.record import STATE
from tests.support import rollout_records
from tests.support.rollout_records import START, Recorder

PASSED = ("integrity", "golden", "latency", "workers", "shadow_answers", "shadow_reasons")


def samples(folder: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values by name and by the values of the labels."""
    families: list[Metric] = list(rollouts.collect(folder))
    return {
        family.name.removeprefix("torchlight_rollout_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in families
    }


def test_running_rollout_has_share_phase_and_verdicts(tmp_path: Path) -> None:
    rollout_records.until_canary(tmp_path)
    values = samples(tmp_path)
    assert values["share"] == {("digits", "2.0"): 0.05}
    assert values["paused"] == {("digits", "2.0"): 0}
    assert len(values["phase"]) == len(RolloutPhase)
    assert [labels for labels, value in values["phase"].items() if value] == [("digits", "2.0", "canary")]
    assert {labels[2:] for labels, value in values["verdict"].items() if value} == {
        *(
            (check, "pass")
            for check in ("integrity", "golden", "latency", "workers", "shadow_answers", "shadow_reasons")
        ),
        *((check, "inconclusive") for check in rollout_records.CANARY),
    }


def test_pause_is_visible(tmp_path: Path) -> None:
    rollout_records.held(tmp_path)
    values = samples(tmp_path)
    assert values["paused"] == {("digits", "2.0"): 1}
    assert values["verdict"][("digits", "2.0", "shadow_reasons", "fail")] == 1


def test_last_rollout_of_each_model_counts(tmp_path: Path) -> None:
    rollout_records.done(tmp_path)
    Recorder(
        tmp_path, START + datetime.timedelta(hours=1), model="cells", candidate="3.0", id="cells-3.0-20261130T110000"
    )
    Recorder(tmp_path, START + datetime.timedelta(hours=2), candidate="2.1", id="digits-2.1-20261130T120000")
    assert samples(tmp_path)["share"] == {("cells", "3.0"): 0, ("digits", "2.1"): 0}


def test_damaged_rollout_is_left_out(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    (recorder.record.folder / STATE).write_text("{")
    assert samples(tmp_path)["phase"] == {}


def test_server_without_rollouts_has_no_samples(tmp_path: Path) -> None:
    assert samples(tmp_path) == {"share": {}, "paused": {}, "phase": {}, "verdict": {}}
