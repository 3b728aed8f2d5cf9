"""Counts of a rollout so far, by stage, in `progress.json`: they outlive a controller that is killed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models import documents
from models.documents import DocumentError
from serving.proxy.arm_counts import ArmCounts
from serving.rollout.arms import Arms, Stage
from serving.runtime import atomic_files

FILE_NAME = "progress.json"
# The stable version's latencies from which the limit of slow responses is computed.
MIN_LATENCIES = 100


class Progress(BaseModel):
    """Counts of a rollout.

    Attributes:
        proxy: identity of the proxy whose counts were read last. Another one counts from 0.
        counted: its counts of both versions then.
        stages: counts by stage: share 0 is the shadow phase, 1 is after the promotion.
        slow_seconds: limit of slow responses: p95 of the stable version; None while it is not known.
    """

    model_config = ConfigDict(extra="forbid")

    proxy: str = ""
    counted: Arms = Arms()
    stages: list[Stage] = []
    slow_seconds: float | None = None

    def begin(self, share: float) -> None:
        """Begin a stage with this share, unless the current one has it."""
        if not self.stages or self.stages[-1].share != share:
            self.stages.append(Stage(share, Arms()))

    def count(self, proxy: str, counts: Arms, draw: Callable[[], float] = random.random) -> None:
        """Add what a proxy counted since the last call to the current stage.

        Args:
            draw: returns a random number from 0 to 1, see Stage.with_new.
        """
        new = counts - self.counted if proxy == self.proxy else counts
        self.proxy, self.counted = proxy, counts
        if self.stages:
            self.stages[-1] = self.stages[-1].with_new(new, draw)

    def start_from(self, proxy: str, counts: Arms) -> None:
        """Leave out what a proxy counted before."""
        self.proxy, self.counted = proxy, counts

    @property
    def canary(self) -> list[Stage]:
        """Return the stages in which both versions answered."""
        return [stage for stage in self.stages if 0 < stage.share < 1]

    @property
    def before_promotion(self) -> ArmCounts:
        """Return the counts of the stable version before the promotion."""
        return sum((stage.arms.stable for stage in self.stages if stage.share < 1), ArmCounts())

    @property
    def current(self) -> Arms:
        """Return the counts of the current stage."""
        return self.stages[-1].arms if self.stages else Arms()

    def find_slow_limit(self) -> bool:
        """Compute the limit of slow responses, once there are latencies enough; return whether it is new."""
        stable = self.before_promotion
        if self.slow_seconds is not None or sum(stable.latencies.values()) < MIN_LATENCIES:
            return False
        self.slow_seconds = stable.quantile(0.95)
        return True


def load(folder: Path) -> Progress:
    """Return the counts in a rollout's folder; none if there are none, or the file is damaged."""
    try:
        return Progress.model_validate(documents.read_json(folder / FILE_NAME))
    except (FileNotFoundError, ValidationError, DocumentError):
        return Progress()


def save(folder: Path, progress: Progress) -> None:
    """Write the counts, atomically."""
    atomic_files.write(folder / FILE_NAME, progress.model_dump_json())
