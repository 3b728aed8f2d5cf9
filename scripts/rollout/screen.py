"""The live view of a rollout in a terminal, drawn with rich. It fits 80 columns and 24 lines."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scripts.rollout.snapshot import Snapshot
from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report import words
from serving.rollout.report.figures import ArmFigures
from serving.rollout.report.rows import CheckRow, checks

STYLES = {"good": "bold green", "bad": "bold red", "wait": "bold yellow", "run": "bold cyan"}
OUTCOMES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "missing": "dim"}
STABLE, CANDIDATE = "blue", "magenta"
BAR_WIDTH = 24
# The phases as the first line shows them; each stands for those up to the next.
STEPS = {
    "prepare": (
        RolloutPhase.PLANNED,
        RolloutPhase.VERIFIED,
        RolloutPhase.REGISTERED,
        RolloutPhase.WARM,
        RolloutPhase.GOLDEN,
    ),
    "shadow": (RolloutPhase.SHADOW,),
    "canary": (RolloutPhase.CANARY,),
    "promote": (RolloutPhase.PROMOTED,),
    "bake": (RolloutPhase.BAKING, RolloutPhase.DRAINING),
    "done": (RolloutPhase.DONE,),
}


def screen(snapshot: Snapshot) -> RenderableType:
    """Return the view of a rollout."""
    rollout, headline = snapshot.rollout, snapshot.headline
    style = STYLES[headline.tone]
    parts: list[RenderableType] = [_steps(rollout), Text(), Text(headline.sentence)]
    parts += [Text(), *_progress(snapshot)]
    if snapshot.moment is not None:
        parts += [Text(), _figures(snapshot)]
    else:
        parts += [Text(), Text(headline.traffic)]
    if snapshot.summary is not None and snapshot.summary.pairs:
        parts.append(_shadow(snapshot))
    parts += [Text(), _checks(checks(rollout))]
    if headline.advice:
        parts += [Text(), Text(headline.advice.replace("`", ""), style=style)]
    title = Text(f"{rollout.model} {rollout.stable} \N{RIGHTWARDS ARROW} {rollout.candidate}  ", style="bold")
    title.append(headline.status, style=style)
    return Panel(Group(*parts), title=title, title_align="left", subtitle=rollout.id, subtitle_align="right")


def _steps(rollout: Rollout) -> Text:
    """Return the phases, with the present one marked."""
    line, names = Text(), list(STEPS)
    current = next((index for index, name in enumerate(names) if rollout.phase in STEPS[name]), None)
    if current is None:
        return Text(f"\N{MULTIPLICATION X} {rollout.phase.value.replace('_', ' ')}", style=STYLES["bad"])
    for index, name in enumerate(names):
        if index:
            line.append(" \N{BOX DRAWINGS LIGHT HORIZONTAL}\N{BOX DRAWINGS LIGHT HORIZONTAL} ", style="dim")
        if index < current or rollout.phase is RolloutPhase.DONE:
            line.append(f"\N{CHECK MARK} {name}", style="green")
        elif index == current:
            line.append(f"\N{BLACK CIRCLE} {name}", style=STYLES["wait" if rollout.paused is not None else "run"])
        else:
            line.append(f"\N{WHITE CIRCLE} {name}", style="dim")
    return line


def _progress(snapshot: Snapshot) -> list[RenderableType]:
    """Return the share, and what the phase waits for."""
    rollout = snapshot.rollout
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=8)
    table.add_column()
    table.add_column()
    table.add_row(
        "share", _bar(rollout.share, CANDIDATE), Text(f"{words.percent(rollout.share)} to {rollout.candidate}")
    )
    for goal in snapshot.remaining.goals:
        table.add_row(goal.name, _bar(goal.share, "green" if goal.share >= 1 else "cyan"), Text(goal.text))
    took = words.duration(snapshot.elapsed)
    times = f"It took {took}." if rollout.phase.is_final else f"{took} since the start"
    lines: list[RenderableType] = [table, Text(times, style="dim")]
    if snapshot.remaining.text:
        lines.append(Text(f"this phase: {snapshot.remaining.text}", style="dim"))
    return lines


def _bar(share: float, style: str) -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, width=BAR_WIDTH, complete_style=style, finished_style=style)


def _figures(snapshot: Snapshot) -> Table:
    """Return the figures of both versions in this step."""
    rollout, moment = snapshot.rollout, snapshot.moment
    assert moment is not None
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for name in ("this step", "requests", "errors", "slow", "referred", "p50", "p95", "p99"):
        table.add_column(name, justify="left" if name == "this step" else "right", no_wrap=True)
    for version, style, figures in (
        (rollout.stable, STABLE, moment.stable),
        (rollout.candidate, CANDIDATE, moment.candidate),
    ):
        table.add_row(*(Text(cell) for cell in [version, *_cells(figures)]), style=style)
    return table


def _cells(figures: ArmFigures) -> list[str]:
    shares = (figures.errors, figures.slow, figures.referred)
    return [
        f"{figures.requests:,}",
        *(words.percent(count / figures.requests) if figures.requests else words.DASH for count in shares),
        *(words.latency(seconds) for seconds in (figures.p50, figures.p95, figures.p99)),
    ]


def _shadow(snapshot: Snapshot) -> Text:
    """Return one line on the comparison of both versions."""
    summary = snapshot.summary
    assert summary is not None
    differing = summary.label_differences + summary.status_differences
    text = f"shadow: {words.rate(differing, summary.images)} of {words.number(summary.images, 'image')} differ"
    if summary.correlations:
        ordered = sorted(summary.correlations)
        text += f"; median correlation of the maps {words.signed(ordered[len(ordered) // 2])}"
    return Text(text, style="dim")


def _checks(rows: list[CheckRow]) -> Table:
    """Return the verdicts: those that passed in one line, the others with their evidence."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    passed = [row.title.lower() for row in rows if row.outcome == "pass"]
    if passed:
        table.add_row(Text("\N{CHECK MARK} passed", style=OUTCOMES["pass"]), Text(", ".join(passed)))
    for row in rows:
        if row.outcome in ("fail", "inconclusive"):
            state = Text(f"{row.symbol} {row.title.lower()}", style=OUTCOMES[row.outcome])
            table.add_row(state, Text(row.message, style="" if row.outcome == "fail" else "dim"))
    waiting = [row.title.lower() for row in rows if row.outcome == "missing"]
    if waiting:
        table.add_row(Text(f"{words.DASH} {rows[-1].state}", style="dim"), Text(", ".join(waiting), style="dim"))
    return table
