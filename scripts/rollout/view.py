"""The views of `torchlight rollout status` and `history`: a live view in a terminal, lines elsewhere, or JSON."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live

from scripts.rollout import lines
from scripts.rollout.screen import screen
from scripts.rollout.snapshot import Watch
from serving.errors import ConfigError
from serving.rollout.record import REPORT, Record, Rollout
from serving.rollout.report import words
from serving.rollout.report.headline import headline

REFRESH_SECONDS = 1.0
# Time for the report of a rollout that has ended. It is written after the last state.
REPORT_SECONDS = 20.0
HEAD = ("started", "model", "from", "to", "end", "took", "why", "report")
# Characters of a reason in the table; the report has all of it.
MAX_REASON = 60


def live(record: Record, stop: Callable[[], bool] = lambda: False, console: Console | None = None) -> Rollout:
    """Show a rollout until it has ended or `stop` returns True, and return its last state.

    In a terminal the view is drawn again once a second. Elsewhere a line is printed at each change.

    Raises:
        ConfigError: there is no such rollout, or its state is damaged.
    """
    console = console or Console()
    watch = Watch(record)
    snapshot = watch.look()
    if not console.is_terminal:
        return _follow(record, watch, stop, console)
    with Live(screen(snapshot), console=console, auto_refresh=False, transient=False) as view:
        while not (snapshot.rollout.phase.is_final or stop()):
            time.sleep(REFRESH_SECONDS)
            snapshot = watch.look()
            view.update(screen(snapshot), refresh=True)
    if snapshot.rollout.phase.is_final:
        # Outside of the frame, so that a long path can be copied.
        _print_report(record, console)
    return snapshot.rollout


def _print_report(record: Record, console: Console) -> None:
    """Print the path of a report once it shows how the rollout ended. Without one, the server's log says why."""
    while not record.has_current_report():
        if time.time() > record.changed() + REPORT_SECONDS:
            return
        time.sleep(REFRESH_SECONDS / 10)
    console.print(f"report: {record.folder / REPORT}", markup=False, highlight=False, soft_wrap=True)


def text(record: Record) -> str:
    """Return a rollout as lines.

    Raises:
        ConfigError: there is no such rollout, or its state is damaged.
    """
    return lines.lines(Watch(record).look())


def document(record: Record) -> dict[str, Any]:
    """Return what `--json` prints: the state, what it means, the last figures and the comparison of both versions.

    Raises:
        ConfigError: there is no such rollout, or its state is damaged.
    """
    snapshot = Watch(record).look()
    moment = snapshot.moment
    return {
        **snapshot.rollout.model_dump(mode="json"),
        "status": snapshot.headline.status,
        "sentence": snapshot.headline.sentence.replace(words.SPACE, " "),
        "seconds": round(snapshot.elapsed, 1),
        "seconds_left": snapshot.remaining.seconds,
        "figures": {"stable": dataclasses.asdict(moment.stable), "candidate": dataclasses.asdict(moment.candidate)}
        if moment
        else None,
        "shadow": snapshot.summary.model_dump(mode="json") if snapshot.summary else None,
        "report": snapshot.report,
    }


def history(records: Sequence[Record]) -> str:
    """Return a table of rollouts, one in each line, in the order given. A damaged one says so."""
    if not records:
        return "no rollout was started on this server"
    rows = [HEAD, *(_row(record) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _follow(record: Record, watch: Watch, stop: Callable[[], bool], console: Console) -> Rollout:
    last = ""
    while True:
        snapshot = watch.look()
        line = lines.change(snapshot)
        if line != last:
            console.print(f"{record.id}: {line}", markup=False, highlight=False, soft_wrap=True)
            last = line
        if snapshot.rollout.phase.is_final:
            _print_report(record, console)
        if snapshot.rollout.phase.is_final or stop():
            return snapshot.rollout
        time.sleep(REFRESH_SECONDS)


def _row(record: Record) -> tuple[str, ...]:
    try:
        rollout = record.load()
    except ConfigError as error:
        return ("", "", "", "", "damaged", "", _shortened(str(error)), "")
    start, end = words.parse_time(rollout.started), words.parse_time(rollout.phase_since)
    took = words.duration((end - start).total_seconds()) if start and end and rollout.phase.is_final else ""
    report = record.folder / REPORT
    return (
        words.date_and_time(start),
        rollout.model,
        rollout.stable,
        rollout.candidate,
        headline(rollout, ()).status.lower(),
        took.replace(words.SPACE, " "),
        _shortened(rollout.reason or rollout.paused or ""),
        str(report) if report.exists() else "",
    )


def _shortened(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "\N{HORIZONTAL ELLIPSIS}"
