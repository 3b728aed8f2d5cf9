"""isolation: what predictions lose while explanations are asked for without a pause."""

from __future__ import annotations

from benchmarks.compare import workload
from benchmarks.compare.results import Figures, Mark, Spread
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import torchlight
from benchmarks.explanations import interference
from benchmarks.report import table


class Isolation(Figures):
    """The 99th percentile of predictions in milliseconds: alone, beside explanations, and beside a program of nobody's.

    Attributes:
        ratio: beside explanations by alone, round by round; `floor` the same beside the other program.
        explained: explanations a second meanwhile.
    """

    alone: Spread
    flooded: Spread
    burdened: Spread
    ratio: Spread
    floor: Spread
    explained: Spread

    def page(self) -> str:
        """A row a neighbor."""
        rows = [
            ["none", self.alone.text(), "", ""],
            ["8 clients that request explanations", self.flooded.text(), self.ratio.text(), self.explained.text()],
            ["another process that computes convolutions, at niceness 19", self.burdened.text(), self.floor.text(), ""],
        ]
        return table(["concurrent load", "p99 of predictions, ms", "ratio to no load", "explanations/s"], rows)

    def marks(self) -> list[Mark]:
        """One."""
        work = "p99 of predictions under a full load of explanations"
        holds = self.ratio.median <= 1.5
        return [Mark(work=work, mark="at most 1.5 x the p99 without load", found=f"{self.ratio.text()} x", holds=holds)]


def measure(setting: Setting) -> Isolation:
    """The digits, four clients that predict."""
    work = workload.digits(setting)
    with torchlight.serve(work, setting.port) as url:
        crowds = interference.crowds(url, work.name, work.images[0])
        found = interference.measure(*crowds, setting.rounds, setting.seconds)
    alone, flooded, burdened = (
        [answers.percentile(0.99) for answers in kind] for kind in (found.alone, found.flooded, found.burdened)
    )
    return Isolation(
        alone=Spread.of(alone),
        flooded=Spread.of(flooded),
        burdened=Spread.of(burdened),
        ratio=Spread.ratios(flooded, alone),
        floor=Spread.ratios(burdened, alone),
        explained=Spread.of(found.explained),
    )
