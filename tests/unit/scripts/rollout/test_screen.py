"""The live view: it fits a small terminal, and has what a person looks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from scripts.rollout.screen import screen
from scripts.rollout.snapshot import Watch
from serving.rollout.report.words import SPACE
from tests.support import rollout_records
from tests.support.rollout_records import Recorder

EXAMPLES = (
    Recorder,
    rollout_records.until_canary,
    rollout_records.held,
    rollout_records.rolled_back,
    rollout_records.done,
)


def drawn(recorder: Recorder, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(screen(Watch(recorder.record).look()))
    return capture.get().replace(SPACE, " ").splitlines()


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("width", [80, 120])
def test_view_fits_the_terminal(example: Callable[[Path], Recorder], width: int, tmp_path: Path) -> None:
    lines = drawn(example(tmp_path), width)
    assert {cell_len(line) for line in lines} == {width}
    assert len(lines) <= 24
    # Nothing is cut off.
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)


def test_running_canary_shows_share_progress_figures_and_verdicts(tmp_path: Path) -> None:
    text = "\n".join(drawn(rollout_records.until_canary(tmp_path)))
    assert "digits 1.0 → 2.0  Running" in text
    assert "✓ prepare ── ✓ shadow ── ● canary ── ○ promote ── ○ bake ── ○ done" in text
    assert "5 % to 2.0" in text
    assert "40 of 100" in text
    assert "2.0 40 0 % 5 % 0 % 20 ms 20 ms 20 ms" in " ".join(text.split())
    assert "? errors           there are too few requests" in text
    assert "✓ passed           archive, golden answers" in text
    assert "– not yet          after the promotion" in text
    assert "0.67 %) of 300 images differ" in text


def test_pause_shows_the_way_on(tmp_path: Path) -> None:
    text = " ".join(" ".join(drawn(rollout_records.held(tmp_path))).replace("│", "").split())
    assert "Waits for you" in text
    assert "run torchlight rollout resume --model digits" in text
    assert "✕ same reasons the median of 4 maps is 0.05" in text


def test_rollback_shows_what_clients_got(tmp_path: Path) -> None:
    text = " ".join(" ".join(drawn(rollout_records.rolled_back(tmp_path))).replace("│", "").split())
    assert "✕ rolled back" in text
    assert "Clients got 60 answers from version 2.0: 12 of them were errors" in text
    assert "It took 2 min 7 s." in text
