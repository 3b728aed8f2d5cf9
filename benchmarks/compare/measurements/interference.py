"""Part `interference`: latency of predictions while clients request explanations without a pause."""

from __future__ import annotations

from benchmarks.compare import workload
from benchmarks.compare.results import PartFigures, Spread, Target
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import torchlight
from benchmarks.explanations import interference
from benchmarks.report import table

MAX_RATIO = 1.5


class Interference(PartFigures):
    """99th percentiles of predictions in milliseconds, and their ratios.

    Attributes:
        alone: without other load.
        with_explanations: while other clients request explanations.
        with_background_load: while another process computes convolutions.
        explanations_ratio: `with_explanations` by `alone`, round by round.
        background_ratio: `with_background_load` by `alone`, round by round.
        explanations_per_second: explanations that the other clients got.
    """

    alone: Spread
    with_explanations: Spread
    with_background_load: Spread
    explanations_ratio: Spread
    background_ratio: Spread
    explanations_per_second: Spread

    def markdown(self) -> str:
        """Return a table with a row per concurrent load."""
        clients = "8 clients that request explanations"
        process = "another process that computes convolutions, at niceness 19"
        rate = self.explanations_per_second.text()
        rows = [
            ["none", self.alone.text(), "", ""],
            [clients, self.with_explanations.text(), self.explanations_ratio.text(), rate],
            [process, self.with_background_load.text(), self.background_ratio.text(), ""],
        ]
        return table(["concurrent load", "p99 of predictions, ms", "ratio to no load", "explanations/s"], rows)

    def targets(self) -> list[Target]:
        """Return the target for the ratio."""
        return [
            Target(
                workload="p99 of predictions under a full load of explanations",
                requirement=f"at most {MAX_RATIO:g} x the p99 without load",
                measured=f"{self.explanations_ratio.text()} x",
                met=self.explanations_ratio.median <= MAX_RATIO,
            )
        ]


def measure(config: RunConfig) -> Interference:
    """Measure four clients that request predictions of the digits."""
    work = workload.digits(config)
    with torchlight.serve(work, config.port) as url:
        groups = interference.client_groups(url, work.name, work.images[0])
        rounds = interference.measure(*groups, config.rounds, config.seconds)
    alone, with_explanations, with_background_load = (
        [responses.percentile(0.99) for responses in load]
        for load in (rounds.alone, rounds.with_explanations, rounds.with_background_load)
    )
    return Interference(
        alone=Spread.of(alone),
        with_explanations=Spread.of(with_explanations),
        with_background_load=Spread.of(with_background_load),
        explanations_ratio=Spread.ratios(with_explanations, alone),
        background_ratio=Spread.ratios(with_background_load, alone),
        explanations_per_second=Spread.of(rounds.explanations_per_second),
    )
