"""The parts of a run, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.performance import explain, growth, isolation, start, throughput
from benchmarks.performance.measured import Figures, Measured, Where
from benchmarks.performance.setting import Setting


@dataclass(frozen=True, slots=True)
class Part:
    """A part: `title` heads its section of docs/performance.md, `figures` is what its file holds.

    Attributes:
        least: seconds that one run takes at least.
        share: of the wanted seconds, what one of its many runs takes.
    """

    name: str
    title: str
    figures: type[Figures]
    measure: Callable[[Setting], Figures]
    least: float = 0.0
    share: float = 1.0


PARTS = {
    part.name: part
    for part in (
        Part("photos", "Photos: ResNet-18 at 224 px, 64 clients", throughput.Throughput, throughput.photos),
        Part("small", "Small images: the `cnn` at 24 px, 64 clients", throughput.Throughput, throughput.small),
        Part("one", "One client", throughput.Throughput, throughput.one),
        Part(
            "explain",
            "Explanations: `ig` with 20 steps, ResNet-18 at 224 px, 4 clients",
            throughput.Throughput,
            explain.measure,
            least=30,
        ),
        Part("isolation", "Predictions during explanations", isolation.Isolation, isolation.measure),
        Part("growth", "Scaling", growth.Growth, growth.measure, share=0.5),
        Part("start", "Start", start.Start, start.measure),
    )
}


def measure(part: Part, setting: Setting) -> Measured:
    """Run a part, and say where, when and how long."""
    began = time.monotonic()
    setting = replace(setting, seconds=max(part.least, part.share * setting.seconds))
    figures = part.measure(setting)
    return Measured(
        part=part.name,
        where=Where.here(),
        seconds=setting.seconds,
        rounds=setting.rounds,
        took=round(time.monotonic() - began, 1),
        figures=figures.model_dump(mode="json"),
    )
