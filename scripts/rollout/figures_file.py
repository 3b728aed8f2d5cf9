"""Reader of a growing figures.jsonl, which reads only what is new."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from models import documents
from models.documents import DocumentError
from serving.rollout.report import figures
from serving.rollout.report.figures import Moment

# Moments that the rate of requests is computed from: half a minute.
RECENT = 30


class FiguresFile:
    """The figures of a rollout so far.

    Attributes:
        stages: the last moment of each stage.
        recent: the last moments.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.stages: list[Moment] = []
        self.recent: deque[Moment] = deque(maxlen=RECENT)

    def update(self) -> None:
        """Read the lines that were added since the last call. A line that is not complete waits for the next one."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self._add(line)
        except FileNotFoundError:
            return

    def _add(self, line: bytes) -> None:
        try:
            entry = documents.parse_json(line, self._path)
        except DocumentError:
            return
        moment = figures.parse(entry) if isinstance(entry, dict) else None
        if moment is not None:
            self.stages = figures.stages([*self.stages, moment])
            self.recent.append(moment)

    def rate(self) -> float | None:
        """Return the candidate's requests per second in the current stage; None while it cannot be known."""
        same = [moment for moment in self.recent if figures.stage_of(moment) == figures.stage_of(self.recent[-1])]
        if len(same) < 2:
            return None
        seconds = (same[-1].time - same[0].time).total_seconds()
        return (same[-1].candidate.requests - same[0].candidate.requests) / seconds if seconds > 0 else None
