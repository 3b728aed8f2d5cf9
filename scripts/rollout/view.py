"""What `torchlight rollout status` and `history` show: a live view in a terminal, lines elsewhere, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from serving.rollout.record import Record, Rollout
from serving.rollout.shadow.summary import ShadowSummary


def live(record: Record, stop: Callable[[], bool] = lambda: False, console: Console | None = None) -> Rollout:
    """Show a rollout until it has ended or `stop` returns True, and return its last state.

    In a terminal the view is drawn again once a second. Elsewhere a line is printed at each change.

    Raises:
        ConfigError: there is no such rollout, or its state is damaged.
    """
    raise NotImplementedError


def lines(rollout: Rollout, figures: Mapping[str, Any] | None, summary: ShadowSummary | None) -> str:
    """Return the view as plain text.

    Args:
        rollout: the state.
        figures: the last entry of figures.jsonl; None without figures.
        summary: the comparison of both versions; None without one.
    """
    raise NotImplementedError


def document(record: Record) -> dict[str, Any]:
    """Return what `--json` prints: the state, the last figures, and the comparison of both versions.

    Raises:
        ConfigError: there is no such rollout, or its state is damaged.
    """
    raise NotImplementedError


def history(records: Sequence[Record]) -> str:
    """Return a table of rollouts, one in each line, in the order given."""
    raise NotImplementedError
