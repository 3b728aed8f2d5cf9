"""report.html: one page that needs no other file and no script, to read, to print, to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.rollout.record import REPORT, Record


def write(record: Record, entries: Sequence[dict[str, Any]]) -> Path:
    """Write the report of a rollout as it stands now, and return its path.

    A missing or damaged part of the record becomes a sentence on the page.

    Args:
        record: the folder of the rollout.
        entries: the entries of the server's journal. The page shows those of this model since the rollout began.
    """
    path = record.folder / REPORT
    raise NotImplementedError
    return path
