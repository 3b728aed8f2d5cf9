"""The state of a rollout at one moment, with everything that the views show."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from scripts.rollout.figures_file import FiguresFile
from scripts.rollout.remaining import Remaining, remaining
from serving.rollout.record import FIGURES, REPORT, Record, Rollout
from serving.rollout.report import evidence, figures, words
from serving.rollout.report.figures import ArmFigures, Moment
from serving.rollout.report.headline import Headline, headline, port_of
from serving.rollout.shadow.summary import ShadowSummary


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout at one moment.

    Attributes:
        moment: the last figures; None if there are none of this phase and share.
        elapsed: seconds since the start, until the end if it has ended.
        in_phase: seconds since the phase began.
        report: path of the report; None if it is not written yet.
    """

    rollout: Rollout
    headline: Headline
    moment: Moment | None
    summary: ShadowSummary | None
    remaining: Remaining
    elapsed: float
    in_phase: float
    report: str | None


class Watch:
    """Reads a rollout again and again."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._figures = FiguresFile(record.folder / FIGURES)

    def look(self) -> Snapshot:
        """Return the state now.

        Raises:
            ConfigError: there is no such rollout, or its state is damaged.
        """
        rollout = self._record.load()
        self._figures.update()
        summary = evidence.summary(self._record, [])
        stages = self._figures.stages
        stage = rollout.phase.value, rollout.step, rollout.share
        moment = stages[-1] if stages and figures.stage_of(stages[-1]) == stage else None
        now = datetime.datetime.now(datetime.UTC)
        since = words.parse_time(rollout.phase_since) or now
        end = since if rollout.phase.is_final else now
        in_phase = max(0.0, (now - since).total_seconds())
        report = self._record.folder / REPORT
        return Snapshot(
            rollout=rollout,
            headline=headline(rollout, stages, port_of(self._record.folder)),
            moment=moment,
            summary=summary,
            remaining=remaining(
                rollout,
                in_phase,
                moment.candidate if moment else ArmFigures(),
                summary,
                self._figures.rate() if moment else None,
            ),
            elapsed=max(0.0, (end - (words.parse_time(rollout.started) or end)).total_seconds()),
            in_phase=in_phase,
            report=str(report) if report.exists() else None,
        )
