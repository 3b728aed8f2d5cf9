"""Records of rollouts as the controller leaves them, for tests of what is made from them."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from serving.proxy.arm_counts import ArmCounts
from serving.rollout import progress
from serving.rollout import record as records
from serving.rollout.arms import Arms, Stage
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.progress import Progress
from serving.rollout.record import Rollout
from serving.rollout.report import figures
from serving.rollout.shadow.files import FOLDER, PICTURES
from serving.rollout.shadow.files import SUMMARY as SUMMARY_FILE
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.verdict import Outcome, Verdict

START = datetime.datetime(2026, 11, 30, 10, 0, tzinfo=datetime.UTC)
SUMMARY = ShadowSummary(
    self_pairs=30,
    pairs=300,
    images=300,
    label_differences=2,
    decision_differences=3,
    stable_confidence=0.94,
    candidate_confidence=0.95,
    largest_change=0.4,
    labels={"3": {"3": 149, "8": 1}, "8": {"8": 149, "3": 1}},
    correlations=[0.8, 0.9, 0.7, 0.85],
    sampled=340,
    dropped=10,
)
CANARY = ("canary_errors", "canary_latency", "referral_rate")


def time(second: float) -> str:
    """Return the time so many seconds after the start, as the controller writes it."""
    return (START + datetime.timedelta(seconds=second)).isoformat(timespec="seconds")


class Recorder:
    """Writes the record of a rollout from digits 1.0 to 2.0, as the controller does, at seconds after its start.

    Attributes:
        entries: the journal.
    """

    def __init__(self, folder: Path, start: datetime.datetime = START, **fields: Any) -> None:
        model = fields.setdefault("model", "digits")
        self.start = start
        self.rollout = Rollout(
            **{
                "id": f"{model}-2.0-{start:%Y%m%dT%H%M%S}",
                "stable": "1.0",
                "candidate": "2.0",
                "actor": "ada@lab",
                "started": self._time(0),
                "phase_since": self._time(0),
                "plan": Plan(),
                **fields,
            }
        )
        self.record = records.create(folder, self.rollout)
        self.entries: list[dict[str, Any]] = []

    def _time(self, second: float) -> str:
        return (self.start + datetime.timedelta(seconds=second)).isoformat(timespec="seconds")

    def write(self, second: float, step: str, /, **evidence: Any) -> None:
        """Write an entry of the journal."""
        self.entries.append(
            {
                "time": self._time(second),
                "run": self.rollout.id,
                "actor": self.rollout.actor,
                "command": "rollout",
                "model": self.rollout.model,
                "version": self.rollout.candidate,
                "step": step,
                "evidence": evidence,
            }
        )

    def enter(self, second: float, phase: RolloutPhase, **evidence: Any) -> None:
        """Enter a phase."""
        self.write(second, phase.value, **evidence)
        self.rollout.phase, self.rollout.phase_since, self.rollout.paused = phase, self._time(second), None
        self.record.save(self.rollout)

    def pause(self, second: float, reason: str) -> None:
        """Pause."""
        self.write(second, "paused", reason=reason)
        self.rollout.paused = reason
        self.record.save(self.rollout)

    def verdict(self, second: float, check: str, outcome: Outcome, message: str, *, holds: bool = False) -> None:
        """Record a verdict."""
        verdict = Verdict(check=check, outcome=outcome, message=message, holds=holds, time=self._time(second))
        self.record.add_verdict(verdict)
        self.rollout.verdicts = {**self.rollout.verdicts, check: verdict}
        self.record.save(self.rollout)

    def figures(self, second: float, stable: dict[str, Any], candidate: dict[str, Any]) -> None:
        """Record the figures of the present phase and share."""
        entry = {
            "time": self._time(second),
            "phase": self.rollout.phase.value,
            "step": self.rollout.step,
            "share": self.rollout.share,
            "stable": arm(**stable),
            "candidate": arm(**candidate),
        }
        with (self.record.folder / records.FIGURES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def summary(self, summary: ShadowSummary = SUMMARY) -> None:
        """Write the comparison of both versions."""
        folder = self.record.folder / FOLDER
        folder.mkdir(exist_ok=True)
        (folder / SUMMARY_FILE).write_text(summary.model_dump_json(), encoding="utf-8")

    def latencies(self, share: float, stable: dict[int, int], candidate: dict[int, int]) -> None:
        """Write the latencies of one stage: number of responses by microseconds."""
        counts = Arms(*(ArmCounts(sum(arm.values()), latencies=arm) for arm in (stable, candidate)))
        progress.save(self.record.folder, Progress(stages=[Stage(share, counts)]))

    def pictures(self, maps: int, images: int = 0, label: str = "3") -> None:
        """Write pictures of attribution maps, and of images with different answers, as the replayer does."""
        folder = self.record.folder / FOLDER
        for name in ("maps", "images"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(maps):
            for side, color in (("stable", "red"), ("candidate", "blue")):
                (folder / "maps" / f"{number:02}-{side}.png").write_bytes(png(color))
        for number in range(images):
            (folder / "images" / f"{number:02}.png").write_bytes(png("green"))
        index = {
            "maps": [{"label": label, "correlation": number / 10, "number": number} for number in range(maps)],
            "images": [{"labels": [label, "8"], "change": 0.5, "number": number} for number in range(images)],
        }
        (folder / PICTURES).write_text(json.dumps(index), encoding="utf-8")


def arm(requests: int = 0, **values: Any) -> dict[str, Any]:
    """Return the figures of one version, as the controller writes them."""
    counts = dict.fromkeys(figures.COUNTS, 0) | {"requests": requests}
    return counts | dict.fromkeys(figures.QUANTILES, 0.02 if requests else None) | values


def png(color: str) -> bytes:
    """Return a small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()


def until_canary(folder: Path, start: datetime.datetime = START, **fields: Any) -> Recorder:
    """Return a rollout in its second canary step, after two minutes."""
    recorder = Recorder(folder, start, **fields)
    recorder.verdict(1, "integrity", Outcome.PASS, "the archive has its digest")
    recorder.enter(1, RolloutPhase.VERIFIED, sha256="0123456789abcdef")
    recorder.enter(8, RolloutPhase.REGISTERED, workers=2)
    recorder.enter(9, RolloutPhase.WARM, requests=50)
    for check in ("golden", "latency", "workers"):
        recorder.verdict(10, check, Outcome.PASS, f"{check} is right")
    recorder.enter(10, RolloutPhase.GOLDEN, answers=10)
    recorder.enter(10, RolloutPhase.SHADOW, pairs=300)
    recorder.verdict(11, "shadow_answers", Outcome.INCONCLUSIVE, "3 of 300 pairs are compared")
    recorder.figures(12, {"requests": 20}, {})
    recorder.figures(40, {"requests": 300, "slow": 15}, {})
    recorder.summary()
    for check in ("shadow_answers", "shadow_reasons"):
        recorder.verdict(40, check, Outcome.PASS, f"{check} is right", holds=check == "shadow_reasons")
    recorder.rollout.share = 0.01
    recorder.enter(40, RolloutPhase.CANARY, share=0.01, step=0)
    for check in CANARY:
        recorder.verdict(41, check, Outcome.INCONCLUSIVE, "there are too few requests")
    recorder.figures(41, {"requests": 10}, {})
    recorder.figures(100, {"requests": 990, "errors": 1, "slow": 50}, {"requests": 10})
    recorder.rollout.share, recorder.rollout.step = 0.05, 1
    recorder.enter(100, RolloutPhase.CANARY, share=0.05, step=1)
    recorder.figures(101, {"requests": 19}, {"requests": 1})
    recorder.figures(120, {"requests": 380, "slow": 20}, {"requests": 40, "slow": 2})
    return recorder


def done(folder: Path) -> Recorder:
    """Return a rollout that went through, after six minutes."""
    recorder = until_canary(folder)
    for check in CANARY:
        recorder.verdict(120, check, Outcome.PASS, f"{check} is right")
    recorder.latencies(0.05, {9000: 100, 20000: 280}, {9000: 10, 20000: 28, 150000: 2})
    recorder.enter(120, RolloutPhase.PROMOTED, share=0.05)
    recorder.rollout.share = 1.0
    recorder.enter(121, RolloutPhase.BAKING, seconds=240)
    recorder.figures(360, {}, {"requests": 4800, "errors": 2, "slow": 240})
    recorder.verdict(360, "baking", Outcome.PASS, "below the limits")
    recorder.enter(361, RolloutPhase.DONE)
    return recorder


def rolled_back(folder: Path) -> Recorder:
    """Return a rollout that the errors of its candidate ended."""
    recorder = until_canary(folder)
    recorder.figures(125, {"requests": 500, "errors": 1}, {"requests": 50, "errors": 12})
    message = "errors: candidate 12 of 60, stable 2 of 1,490 (e-value 5,000, limit 300)"
    recorder.verdict(125, "canary_errors", Outcome.FAIL, message)
    recorder.rollout.reason = f"canary_errors: {message}"
    recorder.enter(125, RolloutPhase.ROLLING_BACK, reason=recorder.rollout.reason)
    recorder.rollout.share = 0.0
    recorder.enter(127, RolloutPhase.ROLLED_BACK, reason=recorder.rollout.reason)
    return recorder


def held(folder: Path, model: str = "digits") -> Recorder:
    """Return a rollout that waits for a person, because its candidate has other reasons."""
    recorder = Recorder(folder, model=model)
    recorder.enter(10, RolloutPhase.SHADOW, pairs=300)
    recorder.figures(40, {"requests": 300}, {})
    recorder.summary(SUMMARY.model_copy(update={"correlations": [-0.2, 0.0, 0.1, 0.3]}))
    recorder.pictures(3)
    message = "the median of 4 maps is 0.05; at least 0.5 is needed"
    recorder.verdict(40, "shadow_reasons", Outcome.FAIL, message, holds=True)
    recorder.pause(40, f"shadow_reasons: {message}")
    return recorder
